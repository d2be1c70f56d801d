import { kindOfId } from '../core/ids.ts';
import type { Report } from '../core/report.ts';
import {
  type AwayRepositories,
  type Found,
  failureOf,
  type ReportEntry,
  type ReportSource,
  readFound,
  reportsDown,
} from './report-entries.ts';
import { type IdRange, reportIdsUp } from './report-ids.ts';
import type { Repository } from './repository.ts';

/* One row a run: of its attempts the last, which is the one with the greatest id. */

export type RowsAsked = IdRange & {
  /** Of runs that came to this only. What cannot be read is among them: it may be one. */
  statuses?: ReadonlySet<Report['status']> | undefined;
  /** Each attempt is a row. @defaultValue false */
  attempts?: boolean;
};

/** `next`: give it as `before` for what comes behind; null at the end. A page may have fewer rows than asked for, and more behind it. */
export type ReportPage = { rows: ReportEntry[]; next: string | null };

type Options = { signal: AbortSignal; away: AwayRepositories };

export async function pageOfReports(
  sources: readonly ReportSource[],
  asked: RowsAsked,
  limit: number,
  options: Options,
): Promise<ReportPage> {
  const rows: ReportEntry[] = [];
  let next: string | null = null;
  for await (const row of reportRows(sources, asked, options)) {
    if (rows.length === limit) {
      next = rows.at(-1)?.id ?? null;
      break;
    }
    rows.push(row);
  }
  return { rows: await withoutOvertaken(sources, rows, asked, options), next };
}

/** How many runs are remembered: attempts of one lie near each other. */
const mostRemembered = 10_000;

/** Newest first. Attempts that a later one of the range has overtaken are left out. */
export async function* reportRows(
  sources: readonly ReportSource[],
  { statuses, attempts = false, ...range }: RowsAsked,
  options: Options,
): AsyncGenerator<ReportEntry, undefined> {
  const seen = new Set<string>();
  for await (const entry of reportsDown(sources, range, options)) {
    if (entry.state === 'whole' && !attempts) {
      if (seen.has(entry.report.uuid)) continue;
      seen.add(entry.report.uuid);
      if (seen.size > mostRemembered) seen.delete(seen.values().next().value as string);
    }
    if (entry.state === 'damaged' || (statuses?.has(entry.report.status) ?? true)) yield entry;
  }
  return undefined;
}

/** How many newer reports of its kind are looked at for a later attempt. */
const mostLater = 100;

/** Where the range ends before the newest report, the last attempt of a run may lie behind that end. One that succeeded was the last. */
async function withoutOvertaken(
  sources: readonly ReportSource[],
  rows: ReportEntry[],
  { before, attempts = false }: RowsAsked,
  options: Options,
): Promise<ReportEntry[]> {
  if (before === undefined || attempts) return rows;
  const open = rows.flatMap((row) => (row.state === 'whole' && mayGoOn(row.report) ? [row] : []));
  const overtaken = new Set<string>();
  for (const { cluster, repositories } of sources)
    for (const kind of new Set(open.filter((row) => row.cluster === cluster).map(({ id }) => kindOfId(id))))
      for (const uuid of await laterRuns({ cluster, repositories }, { since: before, kinds: new Set([kind]) }, options))
        overtaken.add(uuid);
  return rows.filter((row) => row.state === 'damaged' || !mayGoOn(row.report) || !overtaken.has(row.report.uuid));
}

const mayGoOn = ({ status, workflowId }: Report): boolean => status !== 'SUCCESS' && workflowId !== null;

async function laterRuns(
  { cluster, repositories }: ReportSource,
  range: IdRange & { since: string },
  { away, signal }: Options,
): Promise<string[]> {
  const uuids: string[] = [];
  for (const repository of repositories) {
    for await (const found of laterIn(repository, cluster, range, { away, signal })) {
      const entry = await readFound(found, away, signal);
      if (entry?.state === 'whole') uuids.push(entry.report.uuid);
    }
  }
  return uuids;
}

async function* laterIn(
  repository: Repository,
  cluster: string,
  range: IdRange & { since: string },
  { away, signal }: Options,
): AsyncGenerator<Found, undefined> {
  if (away.has(repository.name)) return undefined;
  let looked = 0;
  try {
    for await (const id of reportIdsUp(repository, cluster, range, { signal })) {
      yield { id, cluster, repositories: [repository] };
      looked += 1;
      if (looked === mostLater) break;
    }
  } catch (thrown) {
    away.set(repository.name, failureOf(thrown, signal));
  }
  return undefined;
}
