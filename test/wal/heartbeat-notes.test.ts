import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatLsn } from '../../core/lsn.ts';
import { addHeartbeat, type Heartbeat, readHeartbeats, thinHeartbeats } from '../../wal/heartbeat-notes.ts';
import { tempDir } from '../support/temp.ts';

const beat = (sequence: number): Heartbeat => ({
  sequence,
  at: new Date(Date.UTC(2026, 10, 21) + sequence * 1000).toISOString(),
  lsn: formatLsn(BigInt(sequence) * 256n),
  timeline: 1,
});

test('notes are read as they were written; a line that a killed writer left unfinished is none', async () => {
  const state = tempDir();
  expect(await readHeartbeats(state)).toEqual([]);
  await addHeartbeat(state, beat(1));
  await addHeartbeat(state, beat(2));
  appendFileSync(join(state, 'heartbeats.jsonl'), '\n{"sequence":3,"at":"2026');
  expect(await readHeartbeats(state)).toEqual([beat(1), beat(2)]);
  await addHeartbeat(state, beat(4));
  expect(await readHeartbeats(state)).toEqual([beat(1), beat(2), beat(4)]);
});

test('however long an outage lasts, the notes stay few, and the newest and the oldest stay', async () => {
  const state = tempDir();
  const all = Array.from({ length: 9000 }, (_, index) => beat(index));
  writeFileSync(join(state, 'heartbeats.jsonl'), all.map((note) => `${JSON.stringify(note)}\n`).join(''));
  await thinHeartbeats(state);
  const kept = await readHeartbeats(state);
  expect(kept).toHaveLength(6750);
  expect(kept[0]).toEqual(beat(0));
  expect(kept.slice(-4500)).toEqual(all.slice(-4500));
});
