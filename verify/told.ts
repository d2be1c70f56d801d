import { asPgproofError } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import { type BackupResult, backupResult, dumpResult, type Report, report as reportSchema } from '../core/report.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readDocument } from '../repository/document.ts';
import { backupKey, reportKey, reportPrefix } from '../repository/layout.ts';
import { placeOf } from '../repository/places.ts';
import type { Repository } from '../repository/repository.ts';
import type { StoreOptions } from '../storage/store.ts';
import type { PlacedBackup } from './affects.ts';
import { inParallel, type Looking } from './looking.ts';

/** A backup that a report says was committed in this repository. */
export type ToldBackup = PlacedBackup & { era: string };

/**
 * Backups of the cluster's `repository` that reports tell of, in whichever repository these lie. A commit file that was deleted
 * leaves no other trace.
 */
export async function toldBackups(cluster: ProtectedCluster, looking: Looking): Promise<Map<string, ToldBackup>> {
  const told = new Map<string, ToldBackup>();
  const { signal } = looking;
  await inParallel(await reportsOf(cluster, 'backup', { signal }), 8, async ({ id, from }) => {
    const key = reportKey(cluster.name, id);
    const look = await looking.at(key, () => readDocument(from.store, key, reportSchema, { signal }));
    if (look.state !== 'whole' || look.value.status !== 'SUCCESS') return;
    const parsed = backupResult.safeParse(look.value.result);
    if (!parsed.success || !wasHere(cluster, look.value, parsed.data)) return;
    const { id: backup, era, timeline, startLsn, stopLsn, stoppedAt } = parsed.data;
    const place = { timeline, startLsn: startLsn as Lsn, stopLsn: stopLsn as Lsn, stoppedAt };
    told.set(backup, { id: backup, era, parent: null, ...place });
  });
  return told;
}

/** Ids of the dumps that reports say were committed in the cluster's `repository`. */
export async function toldDumps(cluster: ProtectedCluster, looking: Looking): Promise<Set<string>> {
  const told = new Set<string>();
  const { signal } = looking;
  await inParallel(await reportsOf(cluster, 'dump', { signal }), 8, async ({ id, from }) => {
    const key = reportKey(cluster.name, id);
    const look = await looking.at(key, () => readDocument(from.store, key, reportSchema, { signal }));
    if (look.state !== 'whole' || look.value.status !== 'SUCCESS') return;
    const parsed = dumpResult.safeParse(look.value.result);
    if (parsed.success && parsed.data.repositories.includes(cluster.repository.name)) told.add(parsed.data.id);
  });
  return told;
}

/** Ids of the reports of one operation, newest first, each with a repository that has it. One that is away is passed over. */
export async function reportsOf(
  { name, repository, repositories }: Pick<ProtectedCluster, 'name' | 'repository' | 'repositories'>,
  operation: string,
  options: StoreOptions,
): Promise<{ id: string; from: Repository }[]> {
  const ids = new Map<string, Repository>();
  for (const from of [repository, ...repositories]) {
    try {
      for await (const { key } of from.store.list(reportPrefix(name), options)) {
        const place = placeOf(name, key);
        if (place.kind !== 'report' || place.id.split('-')[1] !== operation || ids.has(place.id)) continue;
        ids.set(place.id, from);
      }
    } catch (error) {
      if (from === repository || asPgproofError(error).permanent) throw error;
    }
  }
  return [...ids].map(([id, from]) => ({ id, from })).sort((a, b) => (a.id < b.id ? 1 : -1));
}

/** The report names its repositories; an older one has only its addresses, and a folder may be mounted elsewhere since. */
function wasHere(cluster: ProtectedCluster, { cluster: name, remote }: Report, told: BackupResult): boolean {
  const { repository, repositories } = cluster;
  if (told.repositories.length > 0) return told.repositories.includes(repository.name);
  const key = backupKey(name, told.era, told.id);
  if (remote.urls.includes(`${repository.location}/${key}`)) return true;
  const elsewhere = repositories.filter(({ id }) => id !== repository.id).map(({ location }) => `${location}/${key}`);
  return remote.urls.some((url) => url.endsWith(`/${key}`) && !elsewhere.includes(url));
}
