import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { pageOfReports } from '../../repository/report-rows.ts';
import { generatedRepository } from './support.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const heapNow = (): number => {
  collectGarbage();
  return process.memoryUsage().heapUsed;
};

/** Looks for the one that failed, which is the oldest of all: every report is read. */
async function search(count: number): Promise<{ reads: number; peakBytes: number }> {
  const before = heapNow();
  let reads = 0;
  let peak = before;
  const repository = generatedRepository(count, () => {
    reads += 1;
    if (reads % (count / 20) === 0) peak = Math.max(peak, heapNow());
  });
  const { rows, next } = await pageOfReports(
    [{ cluster: 'shop', repositories: [repository] }],
    { before: '20270101T000000Z', statuses: new Set(['FAILED']) },
    20,
    { signal: new AbortController().signal, away: new Map() },
  );
  expect({ found: rows.length, next }).toEqual({ found: 1, next: null });
  return { reads, peakBytes: peak - before };
}

test('a search through 100,000 reports takes the memory of one through 10,000', async () => {
  await search(1000); // what is loaded once
  const small = await search(10_000);
  const large = await search(100_000);
  expect([small.reads, large.reads]).toEqual([10_000, 100_000]);
  expect(large.peakBytes).toBeLessThan(small.peakBytes + 4_000_000);
}, 180_000);

test('the first page of 100,000 reports reads little more than its rows', async () => {
  let reads = 0;
  const repository = generatedRepository(100_000, () => {
    reads += 1;
  });
  const { rows, next } = await pageOfReports(
    [{ cluster: 'shop', repositories: [repository] }],
    { before: '20270101T000000Z' },
    20,
    {
      signal: new AbortController().signal,
      away: new Map(),
    },
  );
  expect(rows).toHaveLength(20);
  expect(next).toBe(rows.at(-1)?.id);
  expect(reads).toBeLessThanOrEqual(32);
});
