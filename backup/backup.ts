import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { BackupRecord } from '../repository/record.ts';
import { awaitWal } from './await-wal.ts';
import { commit } from './commit.ts';
import { type CopyOptions, copyBase } from './copy.ts';
import { preflight } from './preflight.ts';

export { awaitWal } from './await-wal.ts';
export { commit, findCommitted, placesOf } from './commit.ts';
export { type CopyOptions, copyBase } from './copy.ts';
export { preflight } from './preflight.ts';

/** Takes a full base backup from beginning to end, in this process. The same steps as the workflow's. */
export async function takeBackup(
  cluster: ProtectedCluster,
  run: Run,
  options: CopyOptions = {},
): Promise<BackupRecord> {
  await preflight(cluster, run); // refuses what would fail later
  const { id } = await copyBase(cluster, run, options);
  await awaitWal(cluster, id, run); // without it the backup cannot become consistent
  return commit(cluster, id, run); // until now the backup does not exist
}
