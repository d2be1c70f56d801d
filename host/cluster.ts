import { join } from 'node:path';
import type { ClusterConfig } from '../core/config.ts';
import type { ClusterPaths, FoundCluster, ProtectedCluster } from '../postgres/cluster.ts';
import { readKeyFile } from '../repository/key-file.ts';
import { type KeyRing, noKeys } from '../repository/keys.ts';
import { makeSpool } from '../wal/spool.ts';
import { makePrivateFolder } from './folders.ts';
import type { Host } from './host.ts';
import { clusterConfig } from './lookup.ts';
import { type OpenClusterOptions, openRepositories } from './repositories.ts';
import { installScripts } from './scripts.ts';
import { sinkOf } from './sink.ts';

export { clusterConfig } from './lookup.ts';

/**
 * Opens a cluster of this host for the engines: keys and repositories are read and must fit each other before anything is
 * made; then its folders and the two scripts are put in place. A repository that is away is no error while another one can
 * be used. Does not ask the server.
 * @throws {PgproofError} `name-invalid`, `cluster-unknown`, `cluster-elsewhere`; `key-file-*`, `key-wrong`, `key-missing`;
 * `repository-missing`, `-foreign`, `-format`; `state-unusable`.
 */
export async function openCluster(
  host: Host,
  name: string,
  options: OpenClusterOptions = {},
): Promise<ProtectedCluster> {
  const cluster = await lookFor(host, name, options);
  const [repository] = cluster.repositories;
  if (repository === undefined) throw cluster.unavailable[0]?.error;
  await makeFolders(cluster.paths);
  return { ...cluster, repository };
}

/**
 * The same, also when every repository is away.
 * @throws {PgproofError} as `openCluster`, but of a repository only what waiting does not mend.
 */
export async function findCluster(host: Host, name: string, options: OpenClusterOptions = {}): Promise<FoundCluster> {
  const cluster = await lookFor(host, name, options);
  await makeFolders(cluster.paths);
  return cluster;
}

/** What of a cluster this host knows without its repositories and keys: the heart beats whoever is away. */
export async function localCluster(host: Host, name: string): Promise<Pick<FoundCluster, 'config' | 'paths'>> {
  const config = clusterConfig(host, name);
  const paths = clusterPaths(host.stateDir, name);
  await makeFolders(paths);
  return { config, paths };
}

async function lookFor(host: Host, name: string, options: OpenClusterOptions): Promise<FoundCluster> {
  const config = clusterConfig(host, name);
  const { keys, walKeys } = await openKeys(host, config);
  const opened = await openRepositories(host, name, config, { keys, walKeys }, options);
  return {
    name,
    fleet: host.config.fleet,
    host: host.name,
    config,
    ...opened,
    keys,
    walKeys,
    paths: clusterPaths(host.stateDir, name),
    sink: sinkOf(host),
  };
}

/** Where everything of a cluster lies in this host's state. */
export function clusterPaths(stateDir: string, name: string): ClusterPaths {
  const state = join(stateDir, 'clusters', name);
  const inside = (folder: string) => join(state, folder);
  return {
    state,
    spool: inside('spool'),
    backups: inside('backups'),
    dumps: inside('dumps'),
    plans: inside('plans'),
    fetch: inside('fetch'),
    drills: inside('drills'),
    scripts: join(stateDir, 'bin'),
  };
}

/** The keys the cluster's config names; `noKeys` when it names none. */
async function openKeys(host: Host, config: ClusterConfig): Promise<{ keys: KeyRing; walKeys: KeyRing }> {
  const open = (name: string) => readKeyFile(host.config.keys[name]!.file);
  const keys = config.key === undefined ? noKeys : await open(config.key);
  return { keys, walKeys: config.walKey === undefined ? keys : await open(config.walKey) };
}

async function makeFolders(paths: ClusterPaths): Promise<void> {
  for (const folder of Object.values(paths)) await makePrivateFolder(folder);
  await makeSpool(paths.spool); // archive-wal makes no folder: it could hide a spool that is not mounted
  await installScripts(paths.scripts);
}
