import { join } from 'node:path';
import { clusterPaths } from '../../host/cluster.ts';
import type { Host } from '../../host/host.ts';
import { defaultStateDir } from '../../host/paths.ts';
import { locationOf } from '../../repository/location.ts';
import { readSpool, spoolAt } from '../../wal/spool.ts';
import { asUser, type OsUser } from './os-user.ts';

/** What stays when a service goes, for a person to keep or to remove; and WAL that no repository has yet. */
export type Kept = { what: string; where: string }[];

export async function keptPlaces(
  { config, name, configFile }: Host,
  user: OsUser,
): Promise<{ kept: Kept; unshipped: Kept }> {
  const state = config.hosts[name]?.state ?? defaultStateOf(user);
  const clusters = Object.keys(config.clusters).filter((cluster) => config.clusters[cluster]?.host.includes(name));
  const kept = [
    { what: 'configuration', where: configFile },
    ...Object.values(config.keys).map(({ file }) => ({ what: 'key', where: file })),
    ...Object.values(config.repositories).map((repository) => ({ what: 'repository', where: locationOf(repository) })),
    { what: 'state and spools', where: state },
  ];
  const unshipped: Kept = [];
  for (const cluster of clusters) {
    const { spool } = clusterPaths(state, cluster);
    const files = await asUser(user, () => readSpool(spoolAt(spool)).catch(noSpool));
    if (files.length > 0) unshipped.push({ what: `${files.length} WAL files of ${cluster}`, where: spool });
  }
  return { kept, unshipped };
}

/** As the worker itself finds it: by its user's home, not by root's. */
const defaultStateOf = ({ home, uid }: OsUser): string =>
  process.getuid?.() === uid ? defaultStateDir() : join(home, '.local/state/pgproof');

function noSpool(error: NodeJS.ErrnoException): [] {
  if (error.code === 'ENOENT') return [];
  throw error;
}
