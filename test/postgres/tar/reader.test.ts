import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TarEntry, TarReader } from '../../../postgres/tar/reader.ts';

let folder: string;
const longName = `deep/${'folder-'.repeat(14)}/${'file-'.repeat(40)}`;
const files: Record<string, string> = {
  PG_VERSION: '15\n',
  'base/5/1259': 'x'.repeat(8192),
  empty: '',
  'straße — ünïcode': 'text',
  'exact-block': 'b'.repeat(512),
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tar-'));
  mkdirSync(join(folder, 'base/5'), { recursive: true });
  mkdirSync(join(folder, 'deep', 'folder-'.repeat(14)), { recursive: true });
  for (const [name, text] of Object.entries({ ...files, [longName]: 'long' })) writeFileSync(join(folder, name), text);
  symlinkSync('/elsewhere/16385', join(folder, 'link'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const pack = (...args: string[]) => execFileSync('tar', ['-C', folder, '-c', ...args], { maxBuffer: 1 << 26 });

function contentsOf(tar: Buffer, chunkBytes: number): { entries: TarEntry[]; contents: Record<string, string> } {
  const reader = new TarReader();
  const entries: TarEntry[] = [];
  const contents: Record<string, string> = {};
  let name = '';
  for (let at = 0; at < tar.length; at += chunkBytes) {
    for (const event of reader.read(tar.subarray(at, at + chunkBytes))) {
      if (event.kind === 'entry') {
        entries.push(event.entry);
        name = event.entry.name;
        if (event.entry.kind === 'file') contents[name] = '';
      }
      if (event.kind === 'content') contents[name] += event.bytes.toString('latin1');
      if (event.kind === 'end') expect(event.entry.name).toBe(name);
    }
  }
  reader.finish();
  return { entries, contents };
}

test.each([
  ['ustar', { ...files }],
  ['gnu', { ...files, [longName]: 'long' }],
  ['posix', { ...files, [longName]: 'long' }],
])('reads what tar writes in its %s format, however the chunks are cut', (format, expected) => {
  const tar = pack(`--format=${format}`, ...Object.keys(expected), 'base', 'link');
  for (const chunkBytes of [1, 7, 512, 700, 1 << 20]) {
    const { entries, contents } = contentsOf(tar, chunkBytes);
    expect(contents).toEqual(expected);
    expect(entries.find(({ name }) => name === 'link')).toMatchObject({
      kind: 'symlink',
      linkTarget: '/elsewhere/16385',
      bytes: 0,
    });
    expect(entries.find(({ name }) => name === 'base/5')?.kind).toBe('folder');
  }
});

test('joins the prefix of a ustar header to the name', () => {
  const name = `deep/${'folder-'.repeat(14)}`;
  expect(contentsOf(pack('--format=ustar', '--no-recursion', name), 512).entries).toMatchObject([
    { name, kind: 'folder' },
  ]);
});

test.each(['gnu', 'posix'])('reads the size of a file over 8 GiB in the %s format', (format) => {
  const big = join(folder, 'big');
  writeFileSync(big, '');
  truncateSync(big, 9 * 2 ** 30);
  const head = execFileSync('sh', ['-c', `tar -C '${folder}' -c --format=${format} big | head -c 4096`]);
  rmSync(big);
  const sizes = [...new TarReader().read(head)].flatMap((event) => (event.kind === 'entry' ? event.entry.bytes : []));
  expect(sizes).toEqual([9 * 2 ** 30]);
});

test('a stream that is cut off anywhere is an error', () => {
  const tar = pack('--format=ustar', '-b', '1', 'PG_VERSION', 'empty'); // three blocks, and the two of the end mark
  for (let length = 0; length < tar.length; length += 1) {
    const reader = new TarReader();
    for (const _ of reader.read(tar.subarray(0, length)));
    expect(() => reader.finish()).toThrow('not a whole tar stream');
  }
  expect(contentsOf(tar, 512).contents).toEqual({ PG_VERSION: '15\n', empty: '' });
});

test('a flipped bit in any byte of a header that matters is an error', () => {
  const tar = pack('--format=ustar', '-b', '1', 'PG_VERSION');
  for (let at = 0; at < 512; at += 1) {
    const damaged = Buffer.from(tar);
    damaged[at] = (damaged[at] as number) ^ 1;
    // The bytes behind the digits of the checksum are the only ones that say nothing.
    if (at === 154 || at === 155) continue;
    expect(() => contentsOf(damaged, 1 << 20), `byte ${at}`).toThrow('not a whole tar stream');
  }
});

test('bytes behind the end mark are an error', () => {
  const tar = pack('--format=ustar', '-b', '1', 'PG_VERSION');
  expect(() => contentsOf(Buffer.concat([tar, tar]), 512)).toThrow('it goes on after its end mark');
});
