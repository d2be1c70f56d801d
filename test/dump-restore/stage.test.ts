import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { endBytes, paddingOf, writeHeader } from '../../dump/directory/member.ts';
import { DirectoryUnpacker } from '../../dump/restore/directory.ts';
import { asideName } from '../../dump/restore/finish.ts';
import { decideRestore, dumpRestoreOptions } from '../../dump/restore/options.ts';
import { refuseOtherList } from '../../dump/restore/selected.ts';
import { refuseWithoutRoom } from '../../dump/restore/stage.ts';
import { wayOf } from '../../dump/restore/way.ts';
import { tempDir } from '../support/temp.ts';

const tar = (...members: [name: string, content: string][]): Buffer =>
  Buffer.concat([
    ...members.map(([name, content]) => {
      const header = Buffer.alloc(512);
      writeHeader(header, name, content.length, 0);
      return Buffer.concat([header, Buffer.from(content), Buffer.alloc(paddingOf(content.length))]);
    }),
    Buffer.alloc(endBytes),
  ]);

async function unpack(bytes: Buffer, only: string | null = null): Promise<string> {
  const folder = join(tempDir(), 'dump');
  const unpacker = await DirectoryUnpacker.into(folder, only);
  try {
    for (let at = 0; at < bytes.length; at += 100) await unpacker.take(bytes.subarray(at, at + 100));
    unpacker.finish();
  } finally {
    await unpacker.close();
  }
  return folder;
}

test('a directory dump is put together from its pieces, however they lie between others', async () => {
  const folder = await unpack(
    tar(
      ['toc.dat', 'list'],
      ['10.dat.gz.000001', 'one '],
      ['11.dat.gz', 'eleven'],
      ['10.dat.gz.000002', 'two'],
      ['blobs.toc', ''],
    ),
  );
  expect(readdirSync(folder).sort()).toEqual(['10.dat.gz', '11.dat.gz', 'blobs.toc', 'toc.dat']);
  expect(readFileSync(join(folder, '10.dat.gz'), 'utf8')).toBe('one two');
  expect(readdirSync(await unpack(tar(['toc.dat', 'list'], ['11.dat.gz', 'eleven']), 'toc.dat'))).toEqual(['toc.dat']);
});

test.each([
  ['leads out of the folder', [['../evil.dat', 'x']]],
  [
    'is no file of pg_dump',
    [
      ['toc.dat', 'x'],
      ['passwd', 'x'],
    ],
  ],
  [
    'lacks its first piece',
    [
      ['toc.dat', 'x'],
      ['10.dat.000002', 'x'],
    ],
  ],
  [
    'comes twice',
    [
      ['toc.dat', 'x'],
      ['toc.dat', 'y'],
    ],
  ],
  ['is all there is, and no list', [['10.dat', 'x']]],
] as const)('a member that %s is refused', async (_, members) => {
  await expect(
    unpack(tar(...members.map(([name, content]): [string, string] => [name, content]))),
  ).rejects.toMatchObject({
    code: 'tar-invalid',
  });
});

test('a stream that broke off is no directory dump', async () => {
  await expect(unpack(tar(['toc.dat', 'list'], ['10.dat', 'x'.repeat(600)]).subarray(0, 1300))).rejects.toMatchObject({
    code: 'tar-invalid',
  });
});

test('a copy of the dump is made where it is needed, and nowhere else', () => {
  const way = (
    format: 'custom' | 'directory' | 'tar' | 'plain',
    more = {},
    mode: 'new' | 'clean' = 'new',
    tools = {},
  ) => {
    const { jobs, staged } = wayOf({ format }, dumpRestoreOptions.parse(more), mode, tools);
    return `${jobs}${staged ? ' staged' : ''}`;
  };
  expect(way('custom')).toBe('2 staged');
  expect(way('custom', { jobs: 1 })).toBe('1');
  expect(way('custom', { singleTransaction: true })).toBe('1');
  expect(way('custom', { jobs: 1 }, 'clean')).toBe('1 staged');
  expect(way('custom', { jobs: 1, select: '1; 2' })).toBe('1 staged');
  expect(way('directory', { jobs: 1 })).toBe('1 staged');
  expect(way('tar')).toBe('1');
  expect(way('plain', { jobs: 8 })).toBe('1');
  expect(way('custom', { jobs: 8 }, 'new', { container: 'db' })).toBe('1');
});

test('a database that holds something takes all of a dump or nothing, and only what was proven', () => {
  for (const mode of ['add', 'clean'] as const) {
    const options = decideRestore({}, mode);
    expect(options).toMatchObject({ singleTransaction: true, jobs: 1 });
    expect(wayOf({ format: 'custom' }, options, mode, {})).toEqual({ jobs: 1, staged: true, notes: [] });
    expect(wayOf({ format: 'custom' }, decideRestore({ jobs: 4 }, mode), mode, {}).notes).toHaveLength(1);
  }
  for (const mode of ['new', 'existing'] as const)
    expect(decideRestore({}, mode)).toEqual(dumpRestoreOptions.parse({}));
});

test('a list of another dump selects nothing: the same numbers stand for other things there', () => {
  const list = `;
; Archive created at 2026-11-21 18:00:00 UTC
;
216; 1259 16405 TABLE public big postgres
215; 1259 16390 TABLE public odd; name postgres
3361; 0 0 ENCODING - ENCODING
`;
  for (const own of [
    list,
    '216; 1259 16405 TABLE public big\r\n',
    '215;',
    ';216; 1 1 x\n\n 3361; 0 0 ENCODING - ENCODING',
  ])
    expect(() => refuseOtherList(own, list, 'a')).not.toThrow();
  for (const other of [
    '216; 1259 16406 TABLE public small postgres',
    '99999; 1259 16405 TABLE public big postgres',
    'big',
  ])
    expect(() => refuseOtherList(`${list}\n${other}\n`, list, 'a')).toThrow(
      expect.objectContaining({ code: 'dump-unfit', facts: expect.objectContaining({ lines: [other] }) }),
    );
});

test('a copy that has no room is refused, with the way that needs none', async () => {
  await expect(refuseWithoutRoom(tempDir(), Number.MAX_SAFE_INTEGER)).rejects.toMatchObject({
    code: 'no-space',
    hint: expect.stringContaining('--jobs 1'),
  });
});

test('a database that is set aside has a name that PostgreSQL takes, whatever it was called', () => {
  const at = new Date('2026-11-21T12:00:00Z');
  expect(asideName('shop', at)).toBe('shop_before_20261121T120000Z');
  const long = asideName('ü'.repeat(31), at);
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(63);
  expect(long).toMatch(/^ü+_before_20261121T120000Z$/);
});
