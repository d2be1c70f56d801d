import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { checkOf } from '../../dump/directory/ending.ts';

const rows = Buffer.from(`${Array.from({ length: 3000 }, (_, n) => `${n}\t${n * 7919}`).join('\n')}\n\\.\n\n\n`);

async function passes(file: string, bytes: Buffer, chunk: number): Promise<boolean> {
  const check = checkOf(file);
  try {
    for (let at = 0; at < bytes.length; at += chunk) await check.read(bytes.subarray(at, at + chunk));
    await check.finish();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'dump-unverified' });
    return false;
  }
}

describe.each([
  ['1.dat.zst', zstdCompressSync(rows)],
  ['1.dat.gz', gzipSync(rows)],
  ['1.dat', rows],
])('%s', (file, whole) => {
  test('ends as it should, wherever its chunks are cut', async () => {
    for (const chunk of [1, 100, 4096, whole.length]) expect(await passes(file, whole, chunk)).toBe(true);
  });

  test('that is cut off anywhere does not', async () => {
    const step = Math.ceil(whole.length / 40);
    for (let bytes = 0; bytes < whole.length; bytes += step)
      expect([bytes, await passes(file, whole.subarray(0, bytes), 4096)]).toEqual([bytes, false]);
    expect(await passes(file, whole.subarray(0, -1), 4096)).toBe(false);
  });
});

test('frames of zstd one after the other are one file, and bytes behind them are not', async () => {
  const frames = Buffer.concat([zstdCompressSync(rows), zstdCompressSync(rows)]);
  expect(await passes('1.dat.zst', frames, 1000)).toBe(true);
  expect(await passes('1.dat.zst', Buffer.concat([frames, Buffer.from('more')]), 1000)).toBe(false);
});
