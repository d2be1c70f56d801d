import { join } from 'node:path';
import type { Place } from '../import/physical/opened.ts';
import { clusterPaths } from './cluster.ts';
import { makePrivateFolder } from './folders.ts';
import type { Host } from './host.ts';
import { installScripts } from './scripts.ts';

/** Where this host works on an old script's folder, which belongs to no cluster yet. @throws {PgproofError} `state-unusable` */
export async function importPlace({ name, stateDir }: Pick<Host, 'name' | 'stateDir'>): Promise<Place> {
  // A folder of its own beside those of clusters: a cluster may have any name.
  const paths = { ...clusterPaths(join(stateDir, 'import'), 'old'), scripts: join(stateDir, 'bin') };
  for (const folder of Object.values(paths)) await makePrivateFolder(folder);
  await installScripts(paths.scripts);
  return { host: name, paths };
}
