import { PgproofError } from '../core/errors.ts';
import { commitState } from '../repository/commit-state.ts';
import { basePrefix } from '../repository/layout.ts';
import type { BackupRecord, EraRecord, StoredPart } from '../repository/record.ts';
import { backupShelf } from '../repository/shelf.ts';
import { commitCopy } from './commit.ts';
import type { Compared } from './compare.ts';
import type { Copying } from './copying.ts';
import { giveWay } from './give-way.ts';
import { sendFolder } from './send.ts';
import { assertSource, sendStream } from './transfer.ts';
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
  await copyParts(copying, era, record);
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

async function copyParts(copying: Copying, { era }: EraRecord, record: BackupRecord): Promise<void> {
  const { to, cluster, run, tally } = copying;
  const folder = basePrefix(cluster, era, record.id);
  const held = new Map<string, number>();
  for await (const { key, bytes } of to.store.list(folder, { signal: run.signal })) held.set(key, bytes);
  // The manifest last: whoever copies by hand sees from it that the others are there.
  const parts = [...record.tablespaces.flatMap((tablespace) => tablespace.parts), record.manifest];
  const byKey = new Map(parts.map((part) => [part.key, part]));
  const objects = parts.map(({ key, storedBytes }): Compared => ({ key, bytes: storedBytes, there: held.get(key) }));
  await sendFolder({ ...copying, again: true }, { folder, objects }, async ({ key, there }, signal) => {
    await copying.newWal();
    return sendPart(copying, byKey.get(key) as StoredPart, there, signal);
  });
  const missing = parts.filter(({ key }) => tally.isRefused(key));
  if (missing.length === 0) return;
  throw new PgproofError(
    'backup-unverified',
    `${missing.length} of ${parts.length} objects of backup ${record.id} could not be copied`,
    { facts: { backup: record.id, keys: missing.slice(0, 10).map(({ key }) => key), missing: missing.length } },
  );
}

async function sendPart(
  copying: Copying,
  part: StoredPart,
  there: number | undefined,
  signal: AbortSignal,
): Promise<number> {
  if (there !== undefined) {
    await assertSource(copying, part, signal);
    await giveWay(copying, part.key, signal);
  }
  await sendStream(copying, part, signal);
  return part.storedBytes;
}
