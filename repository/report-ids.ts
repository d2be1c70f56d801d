import { compactTime, isRunId, kindOfId } from '../core/ids.ts';
import type { StoreOptions } from '../storage/store.ts';
import { reportPrefix } from './layout.ts';
import type { Repository } from './repository.ts';

/*
 * Ids of reports, newest first, out of stores that list oldest first. An id begins with its time, so that a bound is an id, or the
 * beginning of one.
 */

export type IdRange = {
  /** From this one on. @defaultValue the oldest */
  since?: string | undefined;
  /** Up to this one, without it. @defaultValue the end of the next month: a host's clock may be ahead */
  before?: string | undefined;
  /** Of these kinds only, as ids call them. */
  kinds?: ReadonlySet<string> | undefined;
};

/** How many ids are held at once: a month that has more is listed again for each further so many. */
const most = 500;

/** Newest first, in memory that does not grow with their number. Months are listed one by one, and only those that are asked for. */
export async function* reportIdsDown(
  repository: Repository,
  cluster: string,
  range: IdRange,
  options: StoreOptions = {},
): AsyncGenerator<string, undefined> {
  const before = range.before ?? endOfNextMonth();
  const newest = monthOf(before);
  yield* monthDown(repository, cluster, newest, { ...range, before }, options);
  const oldest = range.since === undefined ? await oldestMonth(repository, cluster, options) : monthOf(range.since);
  for (let month = newest - 1; oldest !== null && month >= oldest; month -= 1)
    yield* monthDown(repository, cluster, month, { ...range, before }, options);
  return undefined;
}

/** Oldest first, from `since` on. */
export async function* reportIdsUp(
  repository: Repository,
  cluster: string,
  { since, kinds }: IdRange & { since: string },
  options: StoreOptions = {},
): AsyncGenerator<string, undefined> {
  const before = endOfNextMonth();
  for (let month = monthOf(since); month <= monthOf(before); month += 1)
    for await (const id of idsOf(repository, cluster, month, options)) if (id >= since && fits(id, { kinds })) yield id;
  return undefined;
}

async function* monthDown(
  repository: Repository,
  cluster: string,
  month: number,
  range: IdRange & { before: string },
  options: StoreOptions,
): AsyncGenerator<string, undefined> {
  let { before } = range;
  for (;;) {
    const held: string[] = [];
    for await (const id of idsOf(repository, cluster, month, options)) {
      if (id >= before) break;
      if (!fits(id, range)) continue;
      held.push(id);
      if (held.length > most) held.shift();
    }
    yield* held.toReversed();
    if (held.length < most) return undefined;
    before = held[0] as string;
  }
}

const fits = (id: string, { since, kinds }: IdRange): boolean =>
  (since === undefined || id >= since) && (kinds === undefined || kinds.has(kindOfId(id)));

async function* idsOf(
  { store }: Repository,
  cluster: string,
  month: number,
  options: StoreOptions,
): AsyncGenerator<string, undefined> {
  for await (const { key } of store.list(`${reportPrefix(cluster)}${monthFolder(month)}/`, options)) {
    const id = idOf(key);
    if (id !== null) yield id;
  }
  return undefined;
}

async function oldestMonth({ store }: Repository, cluster: string, options: StoreOptions): Promise<number | null> {
  for await (const { key } of store.list(reportPrefix(cluster), options)) {
    const id = idOf(key);
    if (id !== null) return monthOf(id);
  }
  return null;
}

/** Null for what is no report of ours, which `verify` tells of. */
function idOf(key: string): string | null {
  const id = key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '');
  return isRunId(id) ? id : null;
}

/* Months are numbers, counted from year 0, so that they can be counted down. */
const monthOf = (id: string): number => Number(id.slice(0, 4)) * 12 + Number(id.slice(4, 6)) - 1;
const monthFolder = (month: number): string =>
  `${String(Math.floor(month / 12)).padStart(4, '0')}/${String((month % 12) + 1).padStart(2, '0')}`;

function endOfNextMonth(): string {
  const now = new Date();
  return compactTime(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 2)));
}
