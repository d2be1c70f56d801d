import { PgproofError } from '../core/errors.ts';
import type { DrillCheckResult } from '../core/report.ts';
import type { DrillRequest } from '../core/request.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { chooseDump } from '../repository/dumps.ts';
import { listDumpsIn, type MergedDump } from '../repository/merged.ts';
import type { DumpRecord } from '../repository/record.ts';

export type ChosenDump = {
  record: DumpRecord;
  /** Where its commit file lies. */
  repository: string;
  /** A record that cannot be read is never hidden behind a dump that is whole. */
  catalogue: DrillCheckResult;
};

/**
 * The dump that is asked for, otherwise the newest whole one: of that database, or of any. Drilled only by its id is a dump of the schema
 * alone, what pg_dumpall wrote, and one whose code gets a superuser's rights by it: SQL, what was taken over from a file, PostgreSQL 13.
 * @throws {PgproofError} `backup-missing`, `backup-ambiguous`; `dump-refused` for rows alone.
 */
export async function chooseDrillDump(
  cluster: ProtectedCluster,
  { dump, database }: Pick<DrillRequest, 'dump' | 'database'>,
  signal: AbortSignal,
): Promise<ChosenDump> {
  const { entries } = await listDumpsIn(cluster.repositories, cluster.keys, cluster.name, { signal });
  const record = dump === null ? newestOf(entries, cluster.name, database) : chooseDump(entries, cluster.name, dump);
  if (record.content === 'data') throw unfit(record);
  const { repositories } = entries.find(({ id }) => id === record.id) as MergedDump;
  return { record, repository: repositories[0] as string, catalogue: catalogueOf(entries) };
}

function newestOf(entries: readonly MergedDump[], cluster: string, database: string | null): DumpRecord {
  const fitting = entries.flatMap((entry) =>
    entry.state === 'whole' &&
    entry.record.kind === 'database' &&
    entry.record.content === 'all' &&
    isHarmless(entry.record) &&
    (database === null || entry.record.database === database)
      ? [entry.record]
      : [],
  );
  const newest = fitting.at(-1);
  if (newest !== undefined) return newest;
  const of = database === null ? cluster : `database '${database}' of ${cluster}`;
  throw new PgproofError('backup-missing', `there is no whole dump of ${of}, so there is nothing to drill`, {
    facts: { cluster, database, dumps: entries.length },
    hint: `Plain SQL, what pg_dumpall wrote, dumps taken over from files, and those of PostgreSQL 13 are drilled by --dump ID. See: pgproof list ${cluster}. Take one: pgproof dump ${cluster}${database === null ? '' : ` --database '${database}'`}`,
  });
}

/** Its rows can be brought without a superuser, and it was pgproof that took it. */
const isHarmless = ({ format, importedFrom, server }: DumpRecord): boolean =>
  format !== 'plain' && importedFrom === null && (server.major ?? 0) >= 14;

function catalogueOf(entries: readonly MergedDump[]): DrillCheckResult {
  const damaged = entries.flatMap(({ id, damagedIn }) =>
    damagedIn.map(({ repository, error }) => `${id} in '${repository}': ${error.message}`),
  );
  const whole = entries.filter(({ state }) => state === 'whole').length;
  const detail =
    damaged.length > 0 ? damaged.join('; ') : `${whole} ${whole === 1 ? 'dump' : 'dumps'}, every record readable`;
  return { name: 'catalogue', passed: damaged.length === 0, detail };
}

function unfit({ id, content }: DumpRecord): PgproofError {
  return new PgproofError('dump-refused', `the dump ${id} has rows alone, and an empty server has no tables for them`, {
    facts: { dump: id, content },
    hint: 'Drill a dump that has definitions: --database NAME, or its id.',
  });
}
