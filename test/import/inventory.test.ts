import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { openPlannedFile, seenAt } from '../../activities/planned.ts';
import { CbcSealer } from '../../codec/cbc.ts';
import type { PgproofError } from '../../core/errors.ts';
import { writtenChecksum } from '../../import/checksum.ts';
import { factsOf } from '../../import/facts.ts';
import { takeInventory } from '../../import/inventory.ts';
import { readName } from '../../import/names.ts';
import { readOldReport } from '../../import/old-report.ts';
import { openSource } from '../../import/source.ts';
import { tempDir } from '../support/temp.ts';

/* What needs no server: names, times, and files that only look like dumps. */

const { signal } = new AbortController();
const sql = Buffer.from(
  `--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n${'SELECT 1;\n'.repeat(5000)}\n--\n-- PostgreSQL database dump complete\n--\n\n`,
);

function fileIn(folder: string, name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function readAll(path: string, passphrase: string | null = null): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of (await openSource(path, { passphrase })).open(signal)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

describe('a name', () => {
  const utc = (text: string) => ({ wall: Date.parse(text), isUtc: true });
  test.each([
    ['full_20260114_120000.sql.gz.enc', { tier: 'full', time: { wall: Date.UTC(2026, 0, 14, 12), isUtc: false } }],
    ['remote_20260114_120000.sql', { tier: 'remote' }],
    ['shop_20260114T120000Z_db-7.dump', { database: 'shop', host: 'db-7', time: utc('2026-01-14T12:00:00Z') }],
    ['my_old_shop_20260114T120000Z_db_7_globals.sql', { database: 'my_old_shop', host: 'db_7' }],
    ['we\nird "x"_20260114T120000Z_h.dump.gz.enc', { database: 'we\nird "x"', host: 'h' }],
    ['full_20260231_120000.sql.gz', { tier: null, time: null }],
    ['shop_20260114T250000Z_h.dump', { database: null, time: null }],
    ['backup.sql', { database: null, host: null, tier: null, time: null }],
  ])('%j says what it says, and no more', (name, facts) => {
    expect(readName(name)).toMatchObject(facts);
  });
});

describe('a folder', () => {
  test('is never left by way of a symlink', async () => {
    const [folder, outside] = [tempDir(), tempDir()];
    const file = fileIn(outside, 'secret.sql', sql);
    mkdirSync(join(folder, 'full'));
    symlinkSync(file, join(folder, 'full', 'link.sql'));
    symlinkSync(outside, join(folder, 'elsewhere'));
    const { dumps, strange } = await takeInventory(folder, {}, signal);
    expect(dumps).toEqual([]);
    expect(strange.map(({ place, why }) => [place, why])).toEqual([
      ['elsewhere', 'a symlink, not followed'],
      ['full/link.sql', 'a symlink, not followed'],
    ]);
  });

  test('names the folders below it that have base backups and WAL, which are read from there only', async () => {
    const folder = tempDir();
    for (const place of ['old/base/base_20260110_120000', 'old/base/base_20260117_120000', 'old/wal', 'archive/wal'])
      mkdirSync(join(folder, place), { recursive: true });
    const why = expect.stringContaining('give this folder itself');
    const { strange } = await takeInventory(folder, {}, signal);
    expect(strange).toEqual([
      { place: 'archive', why },
      { place: 'old', why },
    ]);
    expect((await takeInventory(join(folder, 'old'), {}, signal)).strange).toEqual([]);
  });

  test('is a folder, and there', async () => {
    const file = fileIn(tempDir(), 'a.sql', sql);
    for (const path of [file, join(file, 'x'), '/nowhere'])
      await expect(takeInventory(path, {}, signal)).rejects.toMatchObject({ code: 'file-refused' });
  });

  test('may hold names that are no text, and reports that are none', async () => {
    const folder = tempDir();
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe, 0x2e, 0x73, 0x71, 0x6c])]), sql);
    mkdirSync(join(folder, 'lost+found'), { mode: 0 });
    fileIn(folder, 'report.json', '{"database": 7}');
    fileIn(folder, 'gone.dump.sha256', `${'0'.repeat(64)}  gone.dump\n`);
    const { dumps, strange } = await takeInventory(folder, {}, signal);
    chmodSync(join(folder, 'lost+found'), 0o700);
    expect(dumps).toEqual([]);
    expect(strange.map(({ why }) => why).sort()).toEqual([
      'cannot be read (EACCES)',
      'its name is not UTF-8: give it another one to have it looked at',
      'no report of a dump',
      'the checksum of a file that is not there',
    ]);
  });
});

describe('a time', () => {
  async function factsAt(name: string, modified: string, zone: string | null) {
    const folder = tempDir();
    const at = new Date(modified);
    utimesSync(fileIn(folder, name, sql), at, at);
    const { dumps } = await takeInventory(folder, {}, signal);
    return factsOf(dumps[0] as (typeof dumps)[0], zone);
  }

  test('that is later than the file was not of UTC: nobody may believe that the dump holds what came after it', async () => {
    const name = 'full_20260114_120000.sql';
    const written = '2026-01-14T04:10:00Z';
    expect(await factsAt(name, written, null)).toMatchObject({ isLaterThanFile: true });
    const facts = await factsAt(name, written, 'Asia/Shanghai');
    expect(facts).toMatchObject({ isLaterThanFile: false, finishedAt: new Date(written) });
    expect(facts.startedAt).toEqual(new Date('2026-01-14T04:00:00Z'));
  });

  test('that comes twice is the first one; one that never comes is near', async () => {
    const winter = await factsAt('full_20261025_023000.sql', '2026-10-25T08:00:00Z', 'Europe/Berlin');
    expect(winter.startedAt).toEqual(new Date('2026-10-25T00:30:00Z'));
    const summer = await factsAt('full_20260329_023000.sql', '2026-03-29T08:00:00Z', 'Europe/Berlin');
    expect(Math.abs(summer.startedAt.getTime() - Date.UTC(2026, 2, 29, 1, 30))).toBeLessThanOrEqual(3_600_000);
  });

  test('of a file that was copied much later says nothing of when the dump had ended', async () => {
    const { startedAt, finishedAt } = await factsAt('full_20260114_120000.sql', '2026-06-01T00:00:00Z', null);
    expect(finishedAt).toEqual(startedAt);
  });
});

describe('bytes', () => {
  const seal = (plain: Buffer, passphrase = 'a passphrase'): Buffer => {
    const sealer = new CbcSealer('aes-192-cbc', passphrase);
    return Buffer.concat([...sealer.update(plain), ...sealer.final()]);
  };
  const expected = createHash('sha256').update(sql).digest('hex');

  test('behind the end of gzip are damage: Node would pass over them', async () => {
    const file = fileIn(tempDir(), 'a.sql.gz', gzipSync(sql));
    expect(await readAll(file)).toBe(expected);
    appendFileSync(file, Buffer.alloc(300));
    await expect(readAll(file)).rejects.toMatchObject({ code: 'object-damaged', facts: { path: file } });
  });

  test('that are not those whose checksum was written down are damage, and so is what they decode to', async () => {
    const file = fileIn(tempDir(), 'a.sql.gz', gzipSync(sql));
    const bytes = (await openSource(file)).open(signal, '0'.repeat(64));
    await expect(bytes.resume().toArray()).rejects.toMatchObject({ code: 'object-damaged' });
  });

  test('that are none are told in one line, whatever the file is called', async () => {
    const path = fileIn(tempDir(), 'a\n\u001b]0;title\u0007b.sql', 'no dump');
    const error = await openSource(path).catch((thrown: PgproofError) => thrown);
    expect(error).toMatchObject({ code: 'file-unknown', facts: { path } });
    expect((error as PgproofError).message).toContain('a\\u{a}\\u{1b}]0;title\\u{7}b.sql');
  });

  test('of SQL that ends without its last words are damage', async () => {
    const file = fileIn(tempDir(), 'a.sql.gz', gzipSync(sql.subarray(0, -40)));
    await expect(readAll(file)).rejects.toMatchObject({ code: 'object-damaged' });
  });

  test('of sixty wrong passphrases are never taken for a dump', async () => {
    const file = fileIn(tempDir(), 'a.sql.enc', seal(sql));
    expect(await readAll(file, 'a passphrase')).toBe(expected);
    for (let n = 0; n < 60; n += 1)
      await expect(openSource(file, { passphrase: `wrong ${n}` })).rejects.toMatchObject({ code: 'passphrase-wrong' });
  });

  test('that are a bomb are told by some of them', async () => {
    const bomb = gzipSync(gzipSync(gzipSync(Buffer.alloc(64 << 20))));
    await expect(openSource(fileIn(tempDir(), 'a.sql.gz', bomb))).rejects.toMatchObject({ code: 'file-unknown' });
  });
});

test('A checksum is read as sha256sum writes it: with folders, in binary, with an escaped name; not that of another file', async () => {
  const folder = tempDir();
  const sum = 'ab'.repeat(32);
  const beside = (name: string, text: string) => {
    fileIn(folder, `${name}.sha256`, text);
    return writtenChecksum(join(folder, name));
  };
  expect(await beside('a.dump', `${sum}  /data/db-backups/data/a.dump\n`)).toBe(sum);
  expect(await beside('b.dump', `${sum.toUpperCase()} *b.dump\r\n`)).toBe(sum);
  expect(await beside('c\nc.dump', `\\${sum}  c\\nc.dump\n`)).toBe(sum);
  expect(await writtenChecksum(join(folder, 'absent.dump'))).toBe(null);
  await expect(beside('d.dump', `${sum}  other.dump\n`)).rejects.toMatchObject({ code: 'object-damaged' });
  await expect(beside('e.dump', '')).rejects.toMatchObject({ code: 'object-damaged' });
});

test('A file that changed since its restore was planned is another dump', async () => {
  const path = fileIn(tempDir(), 'a.sql', '--\n-- PostgreSQL database dump\n--\n');
  const planned = { path, passphrase: null, cipher: null, seen: await seenAt(path) };
  await openPlannedFile(planned);
  appendFileSync(path, 'DROP TABLE x;\n');
  await expect(openPlannedFile(planned)).rejects.toMatchObject({ code: 'plan-invalid' });
});

test('A checksum that is a pipe keeps nobody waiting', async () => {
  const path = join(tempDir(), 'a.sql');
  execFileSync('mkfifo', [`${path}.sha256`]);
  await expect(writtenChecksum(path)).rejects.toMatchObject({ code: 'object-damaged' });
});

test('A report of the old shape is read, whatever is missing in it; what is none is none', async () => {
  const folder = tempDir();
  const read = (text: string) => readOldReport(fileIn(folder, 'r.json', text), text.length);
  const minimal = { database: 'shop', startedAt: '2025-10-11T18:00:00Z', status: 'FAILED' };
  expect(await read(JSON.stringify(minimal))).toMatchObject({ database: 'shop', succeeded: false, file: null });
  const whole = {
    ...minimal,
    status: 'SUCCESS',
    local: { file: '/data/x.dump', checksumSha256: 'no sum', sizeBytes: '12' },
  };
  expect(await read(JSON.stringify(whole))).toMatchObject({
    succeeded: true,
    file: 'x.dump',
    sha256: null,
    storedBytes: 12,
  });
  for (const none of ['', '[]', '{"database": "x"}', '{'.repeat(100_000)]) expect(await read(none)).toBe(null);
});
