import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { isRunId } from '../core/ids.ts';
import { parseLsn } from '../core/lsn.ts';
import { type Dropped, dropped } from '../parts/copies.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { backupRecord } from '../repository/record.ts';
import { writeDurably } from '../storage/durable-file.ts';
import type { WalRange } from '../wal/await.ts';

/** A backup that is copied and verified, and not committed: its record, still unsigned, in this host's state. */
const pendingBackup = backupRecord.omit({ signature: true }).extend({
  /** Names of the repositories that hold the copy. Absent in one that was made before there could be several. */
  copies: z.array(z.string()).optional(),
  /** Those that it was meant to get into, too, and why it did not. */
  dropped: z.array(dropped).default([]),
});
export type PendingBackup = z.infer<typeof pendingBackup>;

/** The WAL without which this backup cannot become consistent. */
export function neededWal({
  timeline,
  startLsn,
  stopLsn,
}: Pick<PendingBackup, 'timeline' | 'startLsn' | 'stopLsn'>): WalRange {
  return { timeline, start: parseLsn(startLsn), end: parseLsn(stopLsn) };
}

/** Whoever waits for a pending backup touches it; one that nobody touched for so long is given up when the next one begins. */
const abandonedAfterMs = 25 * 3_600_000;

/** Durable when it returns: the retry of a later step, in another process, goes on from it. */
export async function savePending(cluster: ProtectedCluster, pending: PendingBackup): Promise<void> {
  await mkdir(cluster.paths.backups, { recursive: true, mode: 0o700 });
  await writeDurably(pathOf(cluster, pending.id), JSON.stringify(pendingBackup.parse(pending)));
}

/** Undefined when there is none of this id: it never came so far, was given up, or is committed. */
export async function findPending(cluster: ProtectedCluster, id: string): Promise<PendingBackup | undefined> {
  if (!isRunId(id)) throw new PgproofError('backup-missing', `'${id}' is not the id of a backup`, { facts: { id } });
  try {
    return pendingBackup.parse(JSON.parse(await readFile(pathOf(cluster, id), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Says that somebody still means to commit it. */
export async function touchPending(cluster: ProtectedCluster, id: string): Promise<void> {
  const now = new Date();
  try {
    await utimes(pathOf(cluster, id), now, now);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new PgproofError('backup-deleted', `backup ${id} was given up or committed meanwhile`, {
      facts: { backup: id },
    });
  }
}

export async function removePending(cluster: ProtectedCluster, id: string): Promise<void> {
  await rm(pathOf(cluster, id), { force: true });
}

/** Why a committed backup is not everywhere, for its report; nothing else depends on it. */
export async function noteDropped(cluster: ProtectedCluster, id: string, gone: readonly Dropped[]): Promise<void> {
  if (gone.length > 0) await writeDurably(droppedPath(cluster, id), JSON.stringify(gone));
}

/** Empty where nobody noted any. */
export async function readDropped(cluster: ProtectedCluster, id: string): Promise<Dropped[]> {
  try {
    return z.array(dropped).parse(JSON.parse(await readFile(droppedPath(cluster, id), 'utf8')));
  } catch {
    return [];
  }
}

/** The ids that somebody may still commit. Removes the records of all others. Call it under the cluster's lock. */
export async function livePendings(cluster: ProtectedCluster): Promise<string[]> {
  const all = await readdir(cluster.paths.backups);
  for (const note of all.filter((name) => name.endsWith(droppedSuffix)))
    await removeOld(join(cluster.paths.backups, note));
  const names = all.filter((name) => name.endsWith('.json'));
  const live: string[] = [];
  for (const id of names.map((name) => name.slice(0, -'.json'.length)).filter(isRunId)) {
    const { mtimeMs } = await stat(pathOf(cluster, id));
    if (Date.now() - mtimeMs < abandonedAfterMs) live.push(id);
    else await removePending(cluster, id);
  }
  return live;
}

async function removeOld(path: string): Promise<void> {
  const { mtimeMs } = await stat(path);
  if (Date.now() - mtimeMs >= abandonedAfterMs) await rm(path, { force: true });
}

const droppedSuffix = '.dropped';
const droppedPath = ({ paths }: ProtectedCluster, id: string): string => join(paths.backups, `${id}${droppedSuffix}`);
const pathOf = ({ paths }: ProtectedCluster, id: string): string => join(paths.backups, `${id}.json`);
