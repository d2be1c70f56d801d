import { expect, test } from 'vitest';
import { awaitWal } from '../../backup/backup.ts';
import { refuseLostWal } from '../../backup/lost-wal.ts';
import { findPending, type PendingBackup, savePending } from '../../backup/pending.ts';
import type { Lsn } from '../../core/lsn.ts';
import { currentEra } from '../../repository/eras.ts';
import { putHistory } from '../../repository/wal.ts';
import { idOf, recordOf } from '../repository/support.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';
import { type Archive, newEra, openArchive, signal, systemId } from '../wal/support.ts';

const id = idOf(1);

/** A backup of timeline 1 that was copied, and whose WAL from 0/200028 to 0/400000 is not archived. */
async function withPending(): Promise<Archive & { era: string }> {
  const archive = await openArchive(tempDir());
  const era = (await currentEra(archive.cluster.repository, 'shop'))?.era as string;
  const lsns = { startLsn: '0/200028' as Lsn, stopLsn: '0/400000' as Lsn };
  await savePending(archive.cluster, { ...recordOf(id, { era, systemId, ...lsns }), copies: ['local'], dropped: [] });
  return { ...archive, era };
}

const adopt = ({ cluster, era }: Archive & { era: string }, timeline: number, history: string) =>
  putHistory(cluster.repository, cluster.walKeys, 'shop', era, timeline, Buffer.from(history));
const waiting = ({ cluster }: Archive) => awaitWal(cluster, id, quietRun(signal), { lostAfterSeconds: 0 });

test('a backup that waits for WAL which died with its primary ends once the new timeline says so', async () => {
  const archive = await withPending();
  const wait = waiting(archive);
  wait.catch(() => {});
  await adopt(archive, 2, '1\t0/3FFFE8\tno recovery target specified\n');
  await expect(wait).rejects.toMatchObject({
    code: 'wal-lost',
    permanent: true,
    facts: { backup: id, stopLsn: '0/400000', newTimeline: 2, switchLsn: '0/3FFFE8' },
  });
});

test('where the new timeline begins behind its stop, or leads elsewhere later, its WAL is waited for', async () => {
  const archive = await withPending();
  await adopt(archive, 2, '1\t0/400000\tno recovery target specified\n');
  await adopt(archive, 3, '1\t0/400000\tx\n2\t0/500000\tx\n');
  const pending = (await findPending(archive.cluster, id)) as PendingBackup;
  await refuseLostWal(archive.cluster, pending, signal);
});

test('a timeline that does not descend from the backup’s has left it, too', async () => {
  const { cluster, era, ...archive } = await withPending();
  await adopt({ cluster, era, ...archive }, 2, '1\t0/180000\tx\n');
  await adopt({ cluster, era, ...archive }, 3, '1\t0/190000\tx\n');
  const lsns = { startLsn: '0/200028', stopLsn: '0/400000' };
  const pending = { ...recordOf(id, { era, systemId, timeline: 2, ...lsns }), dropped: [] };
  await expect(refuseLostWal(cluster, pending, signal)).rejects.toMatchObject({
    code: 'wal-lost',
    facts: { newTimeline: 3, switchLsn: '0/190000' },
  });
});

test('an era that was declared meanwhile ends the waiting', async () => {
  const archive = await withPending();
  await newEra(archive.cluster, { systemId: '7300000000000000002' });
  await expect(waiting(archive)).rejects.toMatchObject({ code: 'era-mismatch' });
});
