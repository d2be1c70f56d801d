import { execFile } from 'node:child_process';
import fs, { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test, vi } from 'vitest';
import { segmentName } from '../../core/segment.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { noKeys } from '../../repository/keys.ts';
import { walKey } from '../../repository/layout.ts';
import { initRepository } from '../../repository/repository.ts';
import { putHistory, putSegment } from '../../repository/wal.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import type { Inventory } from '../../wal/inventory.ts';
import { type PrefetchOptions, startPrefetch } from '../../wal/prefetch.ts';
import { withStore } from '../support/repositories.ts';
import { tempDir } from '../support/temp.ts';

const mib = 1024 * 1024;
const era = '0001-pg18-7000000000000000001';

test('segments come in their order, whole, and only some lie ready at a time', async () => {
  const stage = await open(40);
  await stage.prefetching(async ({ ask, dir }) => {
    for (const { name } of stage.inventory.segments) {
      expect(await ask(name)).toMatchObject({ code: 0, content: stage.plain(name) });
      expect(readdirSync(join(dir, 'ready')).length).toBeLessThanOrEqual(16);
    }
    expect(await ask(segmentName(1, 99n, mib))).toMatchObject({ code: 1 });
  });
});

test('a recovery that begins again is served again, and so is one that asks twice', async () => {
  const stage = await open(6);
  await stage.prefetching(async ({ ask }) => {
    for (const index of [0, 1, 2, 2, 0, 1, 5, 5]) {
      const name = stage.inventory.segments[index]?.name as string;
      expect(await ask(name)).toMatchObject({ code: 0, content: stage.plain(name) });
    }
  });
});

test('history files are served whenever they are asked for, also one that was adopted after the plan', async () => {
  const stage = await open(2);
  await putHistory(
    stage.cluster.repository,
    noKeys,
    'shop',
    era,
    2,
    Buffer.from('1\t0/1800000\tno recovery target specified\n'),
  );
  await stage.prefetching(async ({ ask }) => {
    for (let times = 0; times < 2; times += 1) {
      expect(await ask('00000002.history')).toMatchObject({ code: 0, content: expect.stringContaining('0/1800000') });
    }
    expect(await ask('00000003.history')).toMatchObject({ code: 1 });
  });
});

test('a request that comes the moment the one before it was served is not lost', async () => {
  const stage = await open(1);
  await putHistory(stage.cluster.repository, noKeys, 'shop', era, 2, Buffer.from('1\t0/1800000\tno reason\n'));
  await stage.prefetching(async ({ dir }) => {
    expect(await askWithoutAPause(dir, '00000002.history', 200)).toBe(200);
  });
});

test('a segment whose content is another one is never handed over: restore_command answers 255', async () => {
  const stage = await open(4);
  const [, second, third] = stage.inventory.segments;
  if (second === undefined || third === undefined) throw new Error('no such segments');
  const fileOf = ({ name, tag }: typeof second) =>
    join(stage.cluster.repository.location, walKey('shop', era, name, tag, '.zst'));
  copyFileSync(fileOf(third), fileOf(second));
  await stage.prefetching(async ({ ask, prefetch }) => {
    expect(await ask(stage.inventory.segments[0]?.name as string)).toMatchObject({ code: 0 });
    expect(await prefetch.failure()).toBeNull();
    expect(await ask(second.name)).toMatchObject({ code: 255, content: null });
    expect(await prefetch.failure()).toMatchObject({ code: 'object-damaged' });
  });
});

test('a short outage is waited out, a long one ends in 255', async () => {
  const stage = await open(4);
  const first = stage.inventory.segments[0]?.name as string;
  const short: FaultPlan = [{ on: 'read', key: /\/wal\//, fault: { kind: 'fail' }, times: 7 }];
  await stage.prefetching(async ({ ask }) => expect(await ask(first)).toMatchObject({ code: 0 }), {}, short);
  expect(short[0]).toMatchObject({ times: 0 });
  const long: FaultPlan = [{ on: 'read', key: /\/wal\//, fault: { kind: 'hang' } }];
  await stage.prefetching(
    async ({ ask, prefetch }) => {
      expect(await ask(first)).toMatchObject({ code: 255 });
      expect(await prefetch.failure()).toMatchObject({ permanent: false });
    },
    { patienceSeconds: 0.5, attemptSeconds: 0.2 },
    long,
  );
});

test('a restore_command that waits answers 255 when the prefetcher ends', async () => {
  const stage = await open(1);
  const rules: FaultPlan = [{ on: 'read', key: /\/wal\//, fault: { kind: 'hang' } }];
  const asked = await stage.prefetching(
    async ({ ask, dir }) => {
      const waiting = ask(stage.inventory.segments[0]?.name as string);
      while (readdirSync(join(dir, 'wanted')).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      return { waiting };
    },
    {},
    rules,
  );
  expect(await asked.waiting).toMatchObject({ code: 255 });
});

test('where the kernel has no watch left, segments come all the same', async () => {
  const watch = vi.spyOn(fs, 'watch').mockImplementation(() => {
    throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), { code: 'ENOSPC' });
  });
  syncBuiltinESMExports();
  try {
    const stage = await open(3);
    await stage.prefetching(async ({ ask }) => {
      for (const { name } of stage.inventory.segments) expect(await ask(name)).toMatchObject({ code: 0 });
    });
    expect(watch).toHaveBeenCalled();
  } finally {
    watch.mockRestore();
    syncBuiltinESMExports();
  }
});

test('a prefetcher that broke down says so at once: restore_command does not wait for it', async () => {
  const stage = await open(1);
  await stage.prefetching(async ({ ask, dir, prefetch }) => {
    rmSync(join(dir, 'ready'), { recursive: true });
    expect(await ask(stage.inventory.segments[0]?.name as string)).toMatchObject({ code: 255 });
    expect(await prefetch.failure()).not.toBeNull();
  });
});

/**
 * Asks for a file again within microseconds of having it, as no shell could: in a thread that never sleeps.
 * @returns how often it was served.
 */
function askWithoutAPause(dir: string, name: string, times: number): Promise<number> {
  const worker = new Worker(
    `const { existsSync, renameSync, rmSync, writeFileSync } = require('node:fs');
     const { parentPort, workerData: { wanted, ready, taken, times } } = require('node:worker_threads');
     const deadline = Date.now() + 60_000;
     let served = 0;
     while (served < times && Date.now() < deadline) {
       writeFileSync(wanted, '');
       while (!existsSync(ready) && Date.now() < deadline);
       if (!existsSync(ready)) break;
       rmSync(wanted);
       renameSync(ready, taken);
       served += 1;
     }
     parentPort.postMessage(served);`,
    {
      eval: true,
      workerData: { wanted: join(dir, 'wanted', name), ready: join(dir, 'ready', name), taken: `${dir}.taken`, times },
    },
  );
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}

type Asked = { code: number; content: string | null };
type Stage = { ask(name: string): Promise<Asked>; dir: string; prefetch: Awaited<ReturnType<typeof startPrefetch>> };

/** A repository without a key, with `count` segments of 1 MiB: then only the tag tells contents apart. */
async function open(count: number) {
  const path = join(tempDir(), 'repository');
  const repository = await initRepository('local', { type: 'file', path });
  const cluster = { name: 'shop', repository, walKeys: noKeys } as unknown as ProtectedCluster;
  const inventory: Inventory = { era, segmentBytes: mib, segments: [], histories: [] };
  const plain = (name: string) => `content of ${name}`.padEnd(2000, '.');
  for (let number = 1n; number <= count; number += 1n) {
    const name = segmentName(1, number, mib);
    const { tag } = await putSegment(repository, noKeys, 'shop', era, name, Buffer.from(plain(name)));
    inventory.segments.push({ name, tag });
  }
  const prefetching = async <T>(
    use: (stage: Stage) => Promise<T>,
    options: Partial<PrefetchOptions> = {},
    rules: FaultPlan = [],
  ): Promise<T> => {
    const dir = join(tempDir(), 'fetch');
    const behind = withStore(cluster, faulty(repository.store, rules));
    const prefetch = await startPrefetch(behind, inventory, dir, { signal: new AbortController().signal, ...options });
    try {
      return await use({ ask: (name) => askFor(dir, name), dir, prefetch });
    } finally {
      await prefetch.stop();
      expect(existsSync(dir)).toBe(false);
    }
  };
  return { cluster, inventory, plain, prefetching };
}

function askFor(dir: string, name: string): Promise<Asked> {
  const path = join(tempDir(), 'RECOVERYXLOG');
  const script = join(import.meta.dirname, '../../wal/restore-wal.sh');
  return new Promise((resolve) => {
    execFile('sh', [script, dir, name, path], (error) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({ code, content: existsSync(path) ? readFileSync(path, 'utf8') : null });
    });
  });
}
