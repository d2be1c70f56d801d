import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Lsn } from '../../core/lsn.ts';
import { awaitArchived } from '../../wal/await.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { tempDir } from '../support/temp.ts';
import { openArchive, seg, segmentOf, signal } from './support.ts';

/** Segments 2 to 4: the last byte before 0/500000 is in segment 4. */
const range = { timeline: 1, start: '0/200028' as Lsn, end: '0/500000' as Lsn };
const soon = () => new Date(Date.now() + 200);
const late = () => new Date(Date.now() + 60_000);
const run = { signal, progress: () => {} };

test('waits for every segment of the range, and for no other', async () => {
  const archive = await openArchive(tempDir());
  for (const number of [2, 4]) archive.publish(seg(number), segmentOf(seg(number)));
  await shipOnce(archive.cluster, { signal });
  const notes: string[] = [];
  const waiting = awaitArchived(
    archive.cluster,
    range,
    { signal, progress: ({ note }) => notes.push(note ?? '') },
    late(),
  );
  while (notes.length === 0) await sleep(10);
  expect(notes[0]).toBe(`1 segments, the first is ${seg(3)}`);
  archive.publish(seg(3), segmentOf(seg(3)));
  await shipOnce(archive.cluster, { signal });
  await waiting;
});

test('says at the deadline which segment is missing, and what the shipper last said', async () => {
  const dir = tempDir();
  const archive = await openArchive(dir);
  archive.publish(seg(2), segmentOf(seg(2)));
  const away = join(dir, 'away');
  renameSync(join(dir, 'repository'), away);
  await shipOnce(archive.cluster, { signal });
  renameSync(away, join(dir, 'repository'));
  await expect(awaitArchived(archive.cluster, range, run, soon())).rejects.toMatchObject({
    code: 'segment-not-archived',
    facts: { segment: seg(2), missing: 3 },
    message: expect.stringContaining('the shipper last said'),
  });
});

test('a segment with two contents ends the waiting at once', async () => {
  const archive = await openArchive(tempDir());
  for (let copies = 0; copies < 2; copies += 1) {
    archive.publish(seg(3), segmentOf(seg(3)));
    await shipOnce(archive.cluster, { signal });
  }
  await expect(awaitArchived(archive.cluster, range, run, late())).rejects.toMatchObject({
    code: 'wal-conflict',
    facts: { segment: seg(3) },
  });
});

test('ends with the reason of the signal', async () => {
  const archive = await openArchive(tempDir());
  const stopped = new AbortController();
  const waiting = awaitArchived(archive.cluster, range, { ...run, signal: stopped.signal }, late());
  stopped.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
});
