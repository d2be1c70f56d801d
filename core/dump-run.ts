import type { DumpKind } from './dump.ts';
import type { Facts } from './errors.ts';
import { type DumpResult, dumpResult, type FiledReport } from './report.ts';
import { shellQuoted } from './shell.ts';

/*
 * A run makes a dump of each database and files a report of each. What the run itself answers is a row for each: a server may have
 * a thousand databases, and an answer of Temporal has 2 MB.
 */

/** What is to be dumped: names only, as they may travel. */
export type DumpSubject = { kind: DumpKind; database: string | null };

export type DumpRow = DumpSubject &
  Pick<
    DumpResult,
    | 'id'
    | 'tier'
    | 'format'
    | 'sizeBytes'
    | 'storedBytes'
    | 'durationSeconds'
    | 'cipher'
    | 'repositories'
    | 'dropped'
    | 'exported'
    | 'findings'
    | 'notes'
  > & {
    /** Key of its report, and the repository that holds it. */
    report: string | null;
    reportIn: string | null;
  };

/** A dump that was not made; `report`: key of its report, null where none could be written. */
export type DumpFailure = { subject: DumpSubject; code: string; message: string; report: string | null };

/** What a run came to in which every dump was made. */
export type DumpRun = { operation: 'dump'; cluster: string; dumps: DumpRow[] };

export function rowOf({ key, repository, report }: FiledReport): DumpRow {
  const result = dumpResult.parse(report.result);
  const { id, kind, database, tier, format, sizeBytes, storedBytes, durationSeconds, cipher } = result;
  const { repositories, dropped, exported, findings, notes } = result;
  const what = { id, kind, database, tier, format, sizeBytes, storedBytes, durationSeconds, cipher };
  return { ...what, repositories, dropped, exported, findings, notes, report: key, reportIn: repository ?? null };
}

/** `shop`, `the globals`, `the whole server`. */
export function subjectName({ kind, database }: DumpSubject): string {
  return database ?? (kind === 'globals' ? 'the globals' : 'the whole server');
}

const named = 5;

/** What a run of several ends with when some were not made. Those that were are whole, and stay. */
export function incompleteRun(
  cluster: string,
  made: readonly DumpRow[],
  failed: readonly DumpFailure[],
): { code: 'dump-incomplete'; message: string; facts: Facts; hint: string } {
  const names = failed.map(({ subject }) => subjectName(subject));
  const whys = failed.slice(0, named).map(({ code, message }, at) => `'${names[at]}': ${message} [${code}]`);
  const more = failed.length > named ? `; and ${failed.length - named} more` : '';
  const again = names.slice(0, named).map((name) => ` --database ${shellQuoted(name)}`);
  return {
    code: 'dump-incomplete',
    message: `${failed.length} of ${made.length + failed.length} dumps of ${cluster} were not made: ${whys.join('; ')}${more}`,
    facts: {
      failed: names,
      dumped: made.map(({ id }) => id),
      report: failed[0]?.report ?? null,
      reports: failed.flatMap(({ report }) => report ?? []),
    },
    hint: `Each left a report, which says what helps (pgproof reports ${cluster} --id …); the other dumps are whole. Afterwards: pgproof dump ${cluster}${again.join('')}${more === '' ? '' : ' …'}`,
  };
}
