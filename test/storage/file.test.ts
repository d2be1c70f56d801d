import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { createIdentical } from '../../storage/create.ts';
import { faulty } from '../../storage/fault.ts';
import { makeRoot, openFileStore } from '../../storage/file/store.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { tempDir } from '../support/temp.ts';
import { describeObjectStore } from './contract.ts';

describeObjectStore('file', () => openFileStore(tempDir('store')), { manyKeys: 600 });
describeObjectStore('faulty, without a fault,', () => faulty(openFileStore(tempDir('store')), []), { manyKeys: 60 });

const x = new TextEncoder().encode('x');

async function list(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

test('nobody but the owner can read objects and folders', async () => {
  const root = join(tempDir(), 'deep', 'root');
  await makeRoot(root);
  await openFileStore(root).create('a/b', x);
  expect(statSync(root).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, 'a')).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, 'a/b')).mode & 0o777).toBe(0o600);
});

test('what a killed writer left is never listed, and reaped by the next; what a living one writes stays', async () => {
  const root = tempDir();
  const child = spawn(process.execPath, [join(import.meta.dirname, 'writer.ts'), root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const incoming = join(root, '.incoming');
  expect(readdirSync(incoming)).toHaveLength(1);
  await openFileStore(root).create('while-it-lives', x);
  expect(readdirSync(incoming)).toHaveLength(1);

  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = openFileStore(root);
  expect(await list(store)).toEqual(['while-it-lives']);
  await store.create('afterwards', x);
  expect(readdirSync(incoming)).toEqual([]);
});

test('a temporary file of another machine is left alone until nothing was written to it for a day', async () => {
  const root = tempDir();
  const incoming = join(root, '.incoming');
  mkdirSync(incoming);
  const theirs = join(incoming, 'ffffffffffff-1-1-0011223344556677');
  writeFileSync(theirs, 'x');
  await openFileStore(root).create('a', x);
  expect(existsSync(theirs)).toBe(true);
  const longAgo = Date.now() / 1000 - 90_000;
  utimesSync(theirs, longAgo, longAgo);
  await openFileStore(root).create('b', x);
  expect(existsSync(theirs)).toBe(false);
});

test('a root that is suddenly another folder, as after an unmount, is neither written nor believed', async () => {
  const root = join(tempDir(), 'mounted');
  await makeRoot(root);
  const store = openFileStore(root);
  await store.create('a', x);
  renameSync(root, `${root}.away`);
  const unreachable = { code: 'store-unreachable', permanent: false };
  await expect(list(store)).rejects.toMatchObject(unreachable);
  mkdirSync(root);
  await expect(list(store)).rejects.toMatchObject(unreachable);
  await expect(store.create('b', x)).rejects.toMatchObject(unreachable);
  await expect(store.read('a')).rejects.toMatchObject(unreachable);
  expect(readdirSync(root)).toEqual([]);
});

test('a file that shrinks while it is read fails the reader', async () => {
  const root = tempDir();
  const store = openFileStore(root);
  await store.create('a', Buffer.alloc(5 << 20));
  const stream = await store.read('a');
  truncateSync(join(root, 'a'), 2 << 20);
  await expect(buffer(stream).then(({ length }) => length)).rejects.toMatchObject({ code: 'object-damaged' });
});

test('a store lives on when somebody removes one of its folders', async () => {
  const root = tempDir();
  const store = openFileStore(root);
  await store.create('a/b', x);
  await store.remove('a/b');
  renameSync(join(root, 'a'), join(root, 'c'));
  await expect(store.create('a/b', x)).rejects.toMatchObject({ code: 'store-unreachable' });
  await store.create('a/b', x);
  expect(await list(store)).toEqual(['a/b']);
});

test('creating an object again with the same content succeeds, with other content fails', async () => {
  const store = openFileStore(tempDir());
  expect(await createIdentical(store, 'a', x)).toMatchObject({ existed: false, bytes: 1 });
  expect(await createIdentical(store, 'a', x)).toMatchObject({ existed: true, bytes: 1 });
  const other = createIdentical(store, 'a', new TextEncoder().encode('y'));
  await expect(other).rejects.toMatchObject({
    code: 'object-exists',
    message: expect.stringContaining('other content'),
  });
});

test('a put whose answer was lost succeeds when it is repeated', async () => {
  const plan = [{ on: 'create', fault: { kind: 'lose-answer' }, times: 1 } as const];
  const store = faulty(openFileStore(tempDir()), plan);
  await expect(createIdentical(store, 'a', x)).rejects.toMatchObject({ code: 'store-unreachable' });
  expect(await createIdentical(store, 'a', x)).toMatchObject({ existed: true });
});

test('a hanging store lets go of whoever is told to stop waiting', async () => {
  const store = faulty(openFileStore(tempDir()), [{ on: 'create', fault: { kind: 'hang' } }]);
  const abort = new AbortController();
  const creating = store.create('a', Readable.from([x]), { signal: abort.signal });
  abort.abort(new DOMException('over', 'TimeoutError'));
  await expect(creating).rejects.toMatchObject({ code: 'timeout' });
});

test('a file that opens after the one who asked for it was let go is closed again', async () => {
  const store = openFileStore(tempDir());
  await store.create('a', x);
  const openFiles = () => readdirSync('/proc/self/fd').length;
  const before = openFiles();
  for (let times = 0; times < 40; times += 1) {
    const abort = new AbortController();
    const reading = store.read('a', { signal: abort.signal });
    for (let turn = 0; turn < times % 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new DOMException('over', 'TimeoutError'));
    await reading.then(
      (stream) => stream.destroy(),
      () => {},
    );
  }
  await expect.poll(openFiles, { timeout: 5000 }).toBeLessThanOrEqual(before);
});

test('a part that somebody moved away behind a link is said, because a listing without it would look whole', async () => {
  const root = tempDir();
  const store = openFileStore(root);
  await store.create('shop/wal/a', Buffer.from('a'));
  renameSync(join(root, 'shop/wal'), join(root, 'elsewhere'));
  symlinkSync(join(root, 'elsewhere'), join(root, 'shop/wal'));
  const listing = async (): Promise<void> => {
    for await (const _ of store.list('shop/'));
  };
  await expect(listing()).rejects.toMatchObject({ code: 'store-denied', facts: { path: join(root, 'shop/wal') } });
});
