import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compactTime } from '../core/ids.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { writeDurably } from '../storage/durable-file.ts';

/** No attempt lives longer (core/timeouts.ts), so what is older is a leftover, whoever began it. */
const oldestMs = 15 * 24 * 3_600_000;

const suffix = '.begun';

/**
 * Said before the first part is stored, so that one of several hosts can tell its own leftovers from another's work. The note
 * goes with its age.
 */
export async function noteBegun({ config, paths }: ProtectedCluster, id: string): Promise<void> {
  if (isAlone(config)) return;
  await writeDurably(join(paths.backups, `${id}${suffix}`), '');
}

/**
 * Which copies without a commit file this host may take for leftovers. On a cluster that spans hosts that is what it began
 * itself: what another host copies, or is about to commit, looks just the same, and the lock is one of each server. Call it
 * under the cluster's lock.
 */
export async function mayReap({ config, paths }: ProtectedCluster): Promise<(id: string) => boolean> {
  if (isAlone(config)) return () => true;
  const oldest = compactTime(new Date(Date.now() - oldestMs));
  const isOld = (id: string): boolean => id < oldest;
  const begun = (await readdir(paths.backups)).filter((name) => name.endsWith(suffix));
  for (const name of begun.filter(isOld)) await rm(join(paths.backups, name), { force: true });
  const own = new Set(begun.map((name) => name.slice(0, -suffix.length)));
  return (id) => own.has(id) || isOld(id);
}

/** Then every leftover is this host's own. */
const isAlone = ({ host }: ProtectedCluster['config']): boolean => host.length === 1;
