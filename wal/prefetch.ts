import { PgproofError } from '../core/errors.ts';
import { historyFileName, type SegmentName } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { listHistoriesIn } from '../repository/merged.ts';
import { Nearest } from '../repository/nearest.ts';
import { closeFetchFolder, makeFetchFolder } from './fetch-folder.ts';
import type { Inventory } from './inventory.ts';
import { readNearestSegment, usualSeconds } from './nearest-segment.ts';
import { Prefetcher } from './prefetcher.ts';

export type PrefetchOptions = {
  signal: AbortSignal;
  /** How long an outage of the store is waited out once recovery waits for a segment. @defaultValue 300 */
  patienceSeconds?: number;
  /** A read that takes longer counts as failed and is tried again: a store may hang without an answer. @defaultValue 60, more for large segments */
  attemptSeconds?: number;
  /** Where everything is read, to be asked afterwards what was taken from elsewhere. @defaultValue the cluster's repositories */
  copies?: Nearest;
  /** What of a checked segment is replayed. @defaultValue all of it, as it is */
  forReplay?: (bytes: Uint8Array, name: SegmentName) => Uint8Array;
};

export type Prefetch = {
  /** Why what recovery asked for could not be delivered; null when nothing of that kind happened. */
  failure(): Promise<PgproofError | null>;
  /** Ends it and removes the folder; a restore_command that still waits answers 255. Safe to call twice. */
  stop(): Promise<void>;
};

/**
 * Feeds wal/restore-wal.sh: keeps the next segments of the inventory in `dir`, each put there only after its content was
 * checked against its tag, and made fit for this replay. Disk and memory are bounded by some segments, however long the recovery.
 * @throws {PgproofError} `plan-invalid` when a history file changed since the plan; what `listHistoriesIn` throws.
 */
export async function startPrefetch(
  cluster: ProtectedCluster,
  inventory: Inventory,
  dir: string,
  options: PrefetchOptions,
): Promise<Prefetch> {
  const { segmentBytes, era } = inventory;
  const { signal, patienceSeconds = 300, attemptSeconds = usualSeconds(segmentBytes) } = options;
  const { copies = new Nearest(cluster.repositories), forReplay = (bytes: Uint8Array) => bytes } = options;
  const histories = await readHistories(cluster, copies, inventory, signal);
  // One repository may use it all up, and the next must have its turn.
  const allSeconds = attemptSeconds * cluster.repositories.length;
  const names = [...histories.keys(), ...inventory.segments.map((segment) => segment.name)];
  const folder = await makeFetchFolder(dir, names, patienceSeconds + allSeconds + 60);
  const prefetcher = new Prefetcher({
    inventory,
    histories,
    folder,
    signal,
    patienceMs: patienceSeconds * 1000,
    attemptMs: allSeconds * 1000,
    read: async (segment, attempt) => {
      const wal = { cluster, copies, era, segmentBytes };
      return forReplay(await readNearestSegment(wal, segment, attempt, attemptSeconds), segment.name);
    },
  });
  const running = prefetcher.run();
  return {
    failure: () => prefetcher.failure(),
    stop: async () => {
      prefetcher.end();
      await running;
      await closeFetchFolder(dir);
    },
  };
}

/** All of the era's history files, by file name: also those that were adopted after the plan was made. */
async function readHistories(
  { repositories, walKeys, name }: ProtectedCluster,
  copies: Nearest,
  inventory: Inventory,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const { histories } = await listHistoriesIn(repositories, copies, walKeys, name, inventory.era, signal);
  for (const { timeline, tag } of inventory.histories) {
    if (histories.get(timeline)?.tag === tag) continue;
    throw new PgproofError(
      'plan-invalid',
      `the history file of timeline ${timeline} is not what it was when the restore was planned`,
      {
        facts: { timeline, tag },
        hint: 'Plan the restore again.',
      },
    );
  }
  return new Map([...histories].map(([timeline, { text }]) => [historyFileName(timeline), text]));
}
