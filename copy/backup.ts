import { PgproofError } from '../core/errors.ts';
import { commitState } from '../repository/commit-state.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { commitCopy } from './commit.ts';
import type { Copying } from './copying.ts';
import { copyParts } from './parts.ts';
import { assertWalThere } from './wal-there.ts';

/**
 * Copies one backup: its parts, each compared with the signed record, and last its commit file. One that exists at the target
 * already gets the parts that it lost.
 * @throws {PgproofError} why it does not exist there: `backup-unverified`, `segment-not-archived`, `wal-conflict`, `backup-deleted`.
 */
export async function copyBackup(
  copying: Copying,
  era: EraRecord,
  record: BackupRecord,
  exists: boolean,
): Promise<void> {
  // The manifest last: whoever copies by hand sees from it that the others are there.
  const parts = [...record.tablespaces.flatMap((tablespace) => tablespace.parts), record.manifest];
  await copyParts(copying, backupShelf(copying.cluster, era.era), record.id, parts);
  if (exists) return;
  await assertParentThere(copying, record);
  await assertWalThere(copying, era, record);
  await commitCopy(copying, record);
}

/** An increment without its parent restores nothing. */
async function assertParentThere({ to, cluster, run }: Copying, { id, era, parent }: BackupRecord): Promise<void> {
  if (parent === null) return;
  const { committed, tombstones } = await commitState(to, backupShelf(cluster, era), parent, { signal: run.signal });
  if (committed && tombstones.length === 0) return;
  throw new PgproofError(
    'backup-unverified',
    `backup ${id} needs its parent ${parent}, which repository '${to.name}' does not have`,
    { facts: { backup: id, parent, repository: to.name } },
  );
}
