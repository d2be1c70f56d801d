import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { release } from '../../codec/memory.ts';
import { Unpacker } from '../../restore/unpack.ts';
import { tempDir } from '../support/temp.ts';

test('files come out byte for byte, with modes of our own, however the stream is cut', async () => {
  const { from, root } = folders();
  mkdirSync(join(from, 'base/5'), { recursive: true });
  const large = Buffer.alloc(9_000_001, 'abcdefg');
  writeFileSync(join(from, 'base/5/1259'), large, { mode: 0o666 });
  writeFileSync(join(from, 'empty'), '');
  writeFileSync(join(from, 'backup_manifest'), 'left out');
  for (let n = 0; n < 300; n += 1) writeFileSync(join(from, `base/${n}-${'long'.repeat(30)}`), `content ${n}`);
  const stream = tar(from);
  const unpacker = open(root);
  for (let at = 0; at < stream.length; at += 65_521) await unpacker.write(stream.subarray(at, at + 65_521));
  await unpacker.finish();

  expect(readFileSync(join(root, 'base/5/1259')).equals(large)).toBe(true);
  expect(readFileSync(join(root, `base/299-${'long'.repeat(30)}`), 'utf8')).toBe('content 299');
  expect(statSync(join(root, 'empty')).size).toBe(0);
  expect(statSync(join(root, 'base/5/1259')).mode & 0o777).toBe(0o600);
  expect(statSync(join(root, 'base')).mode & 0o777).toBe(0o700);
  expect(existsSync(join(root, 'backup_manifest'))).toBe(false);
});

test('the memory of a chunk is given back when all of it is in its files, and not before', async () => {
  const { from, root } = folders();
  const content = (n: number) => Buffer.alloc(300_000, `${n}`);
  for (let n = 0; n < 30; n += 1) writeFileSync(join(from, `${n}`), content(n));
  const stream = tar(from);
  const chunks: Buffer[] = [];
  const unpacker = open(root);
  for (let at = 0; at < stream.length; at += 1 << 20) {
    const chunk = Buffer.allocUnsafeSlow(Math.min(1 << 20, stream.length - at));
    stream.copy(chunk, 0, at);
    chunks.push(chunk);
    await unpacker.write(chunk, () => release(chunk));
  }
  await unpacker.finish();

  for (let n = 0; n < 30; n += 1) expect(readFileSync(join(root, `${n}`)).equals(content(n)), `${n}`).toBe(true);
  expect(chunks.map(({ length }) => length)).toEqual(chunks.map(() => 0));
});

test('the link of a tablespace leads to where the plan puts it, not to where the primary had it', async () => {
  const { from, root } = folders();
  mkdirSync(join(from, 'pg_tblspc'));
  symlinkSync('/srv/of/the/primary', join(from, 'pg_tblspc/16387'));
  const unpacker = open(root, new Map([['16387', join(root, 'tablespaces/16387')]]));
  await unpacker.write(tar(from));
  await unpacker.finish();
  expect(readlinkSync(join(root, 'pg_tblspc/16387'))).toBe(join(root, 'tablespaces/16387'));
});

test.each<[string, string[]]>([
  ['a name that climbs out', ['--transform=s,^file$,../outside,', 'file']],
  ['an absolute name', ['--transform=s,^file$,/tmp/outside,', 'file']],
  ['a link to somewhere', ['link']],
  ['a hard link', ['file', 'hard']],
  ['the same file twice', ['file', 'file', '--hard-dereference']],
  ['a pipe', ['pipe']],
])('%s is refused, and nothing is written outside', async (_, args) => {
  const { from, root } = folders();
  writeFileSync(join(from, 'file'), 'x');
  symlinkSync('/tmp', join(from, 'link'));
  execFileSync('sh', ['-c', 'cd "$1" && ln file hard && mkfifo pipe', '-', from]);
  const stream = execFileSync('tar', ['-cP', '-C', from, '--format=gnu', ...args]);
  const unpacker = open(root);
  const work = unpacker.write(stream).then(() => unpacker.finish());
  await expect(work).rejects.toMatchObject({ code: 'restore-unverified' });
  await unpacker.abandon();
  expect(existsSync(join(root, '../outside'))).toBe(false);
  expect(existsSync('/tmp/outside')).toBe(false);
  expect(readdirSync(root).filter((name) => name !== 'file')).toEqual([]);
});

test('a stream that is cut off is not taken for a whole one', async () => {
  const { from, root } = folders();
  writeFileSync(join(from, 'file'), 'x'.repeat(5000));
  const unpacker = open(root);
  await unpacker.write(tar(from).subarray(0, 3000));
  await expect(unpacker.finish()).rejects.toMatchObject({ code: 'tar-invalid' });
  await unpacker.abandon();
});

function folders(): { from: string; root: string } {
  const dir = tempDir();
  const [from, root] = [join(dir, 'from'), join(dir, 'root')];
  mkdirSync(from);
  mkdirSync(root);
  return { from, root };
}

function open(root: string, tablespaces: ReadonlyMap<string, string> = new Map()): Unpacker {
  return new Unpacker({ root, tablespaces, skip: new Set(['backup_manifest']) });
}

const tar = (from: string): Buffer =>
  execFileSync('sh', ['-c', 'cd "$1" && tar -c --format=gnu *', '-', from], { maxBuffer: 64 * 1024 * 1024 });
