import { abortReason } from '../core/abort.ts';
import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import { type Report, report as reportSchema } from '../core/report.ts';
import type { StoreOptions } from '../storage/store.ts';
import { readDocument } from './document.ts';
import { reportKey } from './layout.ts';
import { withLimit } from './nearest.ts';
import { type IdRange, reportIdsDown } from './report-ids.ts';
import type { Repository } from './repository.ts';

/* Reports of several clusters and repositories as one list. */

/** A cluster whose reports are read, and where they may lie. */
export type ReportSource = { cluster: string; repositories: readonly Repository[] };

/** A report as it was found; one that cannot be read is an entry, too. `repository`: where it was read from. */
export type ReportEntry = { id: string; cluster: string; repository: string } & (
  | { state: 'whole'; report: Report }
  | { state: 'damaged'; error: PgproofError }
);

/** Repositories that did not answer, by name, and why. Who is in here is not asked again. */
export type AwayRepositories = Map<string, PgproofError>;

/** How many reports are read at once. */
const readAhead = 16;

/** One of several that takes longer is away. */
const patienceSeconds = 300;

/**
 * All reports of the range, newest first, each once. Memory does not grow with their number. A repository that does not answer is
 * put into `away`, and the others go on.
 */
export async function* reportsDown(
  sources: readonly ReportSource[],
  range: IdRange,
  { signal = new AbortController().signal, away }: StoreOptions & { away: AwayRepositories },
): AsyncGenerator<ReportEntry, undefined> {
  let found: Found[] = [];
  const read = (): Promise<(ReportEntry | null)[]> => Promise.all(found.map((one) => readFound(one, away, signal)));
  for await (const one of findDown(sources, range, { signal, away })) {
    if (found.push(one) < readAhead) continue;
    for (const entry of await read()) if (entry !== null) yield entry;
    found = [];
  }
  for (const entry of await read()) if (entry !== null) yield entry;
  return undefined;
}

/** A report, and who has it. */
export type Found = { id: string; cluster: string; repositories: Repository[] };

/** From the first that has it whole. Null: it is nowhere any more, or only where nobody answers. */
export async function readFound(
  { id, cluster, repositories }: Found,
  away: AwayRepositories,
  signal: AbortSignal,
): Promise<ReportEntry | null> {
  let damaged: ReportEntry | null = null;
  for (const repository of repositories) {
    if (away.has(repository.name)) continue;
    try {
      const report = await readReport(repository, cluster, id, { signal });
      return { id, cluster, repository: repository.name, state: 'whole', report };
    } catch (thrown) {
      const error = failureOf(thrown, signal);
      if (isOfTheReport(error)) damaged ??= { id, cluster, repository: repository.name, state: 'damaged', error };
      else if (error.code !== 'object-missing') away.set(repository.name, error);
    }
  }
  return damaged;
}

async function readReport(repository: Repository, cluster: string, id: string, options: StoreOptions): Promise<Report> {
  const key = reportKey(cluster, id);
  const report = await readDocument(repository.store, key, reportSchema, options);
  if (report.id === id && report.cluster === cluster) return report;
  throw new PgproofError('record-invalid', `'${key}' is the report ${report.id} of cluster '${report.cluster}'`, {
    facts: { key },
  });
}

const isOfTheReport = (error: PgproofError): boolean =>
  hasCode(error, 'record-invalid', 'repository-format', 'object-damaged');

type Stream = {
  cluster: string;
  repository: Repository;
  ids: AsyncGenerator<string, undefined>;
  head: string | undefined;
};

async function* findDown(
  sources: readonly ReportSource[],
  range: IdRange,
  { signal, away }: { signal: AbortSignal; away: AwayRepositories },
): AsyncGenerator<Found, undefined> {
  const streams = sources.flatMap(({ cluster, repositories }) =>
    repositories.map((repository): Stream => {
      const ids = reportIdsDown(repository, cluster, range, { signal });
      return { cluster, repository, ids, head: undefined };
    }),
  );
  const patience = streams.length > 1 ? patienceSeconds : undefined;
  const advance = async (stream: Stream): Promise<void> => {
    stream.head = undefined;
    if (away.has(stream.repository.name)) return;
    try {
      stream.head = (await withLimit(patience, signal, () => stream.ids.next())).value;
    } catch (thrown) {
      away.set(stream.repository.name, failureOf(thrown, signal));
    }
  };
  for (let at = 0; at < streams.length; at += readAhead)
    await Promise.all(streams.slice(at, at + readAhead).map(advance));
  for (;;) {
    const newest = newestOf(streams);
    if (newest?.head === undefined) return undefined;
    const { cluster, head: id } = newest;
    const having = streams.filter((one) => one.head === id && one.cluster === cluster);
    yield { id, cluster, repositories: having.map(({ repository }) => repository) };
    await Promise.all(having.map(advance));
  }
}

function newestOf(streams: readonly Stream[]): Stream | undefined {
  let newest: Stream | undefined;
  for (const stream of streams) if (stream.head !== undefined && stream.head > (newest?.head ?? '')) newest = stream;
  return newest;
}

/** @throws the signal's reason, when that is why it failed. */
export function failureOf(thrown: unknown, signal: AbortSignal): PgproofError {
  if (signal.aborted) throw abortReason(signal);
  return asPgproofError(thrown);
}
