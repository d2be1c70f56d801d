import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createGzip, gunzipSync, gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { checkExport, type ExportOrder, exportDump, isAlone } from '../../../dump/export/export.ts';
import { writeNew } from '../../../dump/export/write.ts';
import type { ProtectedCluster } from '../../../postgres/cluster.ts';
import { type KeyRing, sealingFor } from '../../../repository/keys.ts';
import type { DumpRecord } from '../../../repository/record.ts';
import type { Repository } from '../../../repository/repository.ts';
import { noise, sample } from '../../codec/support.ts';
import { newPlace } from '../../copy/support.ts';
import { dumpIdOf, putDump } from '../../dumps/support.ts';
import { newKeys } from '../../repository/support.ts';
import { withRepositories } from '../../support/repositories.ts';
import { tempDir } from '../../support/temp.ts';

/** Dumps of a repository as ordinary files. The programs that read them are the stock ones. */

const run = { signal: new AbortController().signal, progress: () => undefined };
const plain = sample(700_000);
const globals = Buffer.from('CREATE ROLE ada;\n');
const base = 'shop_20261121T020000Z_db-7';

let keys: KeyRing;
let repository: Repository;
let folder: string;
beforeEach(async () => {
  keys = await newKeys();
  repository = await newPlace('near');
  folder = join(tempDir('export'), 'of/dumps');
});

const clusterOf = (...repositories: [Repository, ...Repository[]]) =>
  ({ ...withRepositories(repositories), name: 'shop', keys }) as ProtectedCluster;
const put = (changes: Parameters<typeof putDump>[4] = {}, content = plain) =>
  putDump(repository, keys, dumpIdOf(1), content, changes);
const exported = (record: DumpRecord, order: Partial<ExportOrder> = {}, cluster = clusterOf(repository)) =>
  exportDump(cluster, record, { folder, layout: 'files', alone: false, ...order }, run);
const there = () => readdirSync(folder).filter((name) => name !== '.incoming');
const checked = (file: string) => execFileSync('sha256sum', ['-c', basename(file)], { cwd: folder, encoding: 'utf8' });

describe('as files', () => {
  test('a dump, its check sum and its globals have their names, are private, and sha256sum agrees', async () => {
    const result = await exported(await put({ globals }));
    expect(there().toSorted()).toEqual([`${base}.dump`, `${base}.dump.sha256`, `${base}_globals.sql`]);
    expect(readFileSync(join(folder, `${base}.dump`)).equals(plain)).toBe(true);
    expect(readFileSync(join(folder, `${base}_globals.sql`)).equals(globals)).toBe(true);
    expect(checked(`${base}.dump.sha256`)).toBe(`${base}.dump: OK\n`);
    for (const name of there()) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect(result).toMatchObject({
      file: join(folder, `${base}.dump`),
      globalsFile: join(folder, `${base}_globals.sql`),
      sizeBytes: plain.length,
      checksumSha256: readFileSync(join(folder, `${base}.dump.sha256`), 'utf8').slice(0, 64),
    });
    expect(result.files.toSorted()).toEqual(
      there()
        .map((name) => join(folder, name))
        .toSorted(),
    );
  });

  test.each(['-rf', '../../x', 'a\\nb \t*', 'Größe "1"'])(
    'the database %j leads nowhere else, and sha256sum agrees',
    async (database) => {
      const { file } = await exported(await put({ database }));
      expect(there()).toHaveLength(2);
      expect(checked(`${file}.sha256`)).toContain(': OK');
    },
  );

  test('a dump of the directory format is a folder again, whose every file sha256sum agrees with', async () => {
    const { tar, files } = directoryDump();
    const record = await put({ stream: 'dump.directory.tar', format: 'directory' }, tar);
    await exported(record);
    expect(there().toSorted()).toEqual([base, `${base}.sha256`]);
    for (const [name, content] of Object.entries(files))
      expect(readFileSync(join(folder, base, name)).equals(content)).toBe(true);
    expect(checked(`${base}.sha256`).match(/: OK$/gm)).toHaveLength(Object.keys(files).length);
    await expect(exported(record)).rejects.toMatchObject({ code: 'file-unwritable' });
  });

  test('two that write one folder at once leave one, whole', async () => {
    const { tar, files } = directoryDump();
    const record = await put({ stream: 'dump.directory.tar', format: 'directory' }, tar);
    const outcomes = await Promise.allSettled([exported(record), exported(record), exported(record)]);
    const failed = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(failed).toHaveLength(2);
    for (const error of failed) expect(error).toMatchObject({ code: 'file-unwritable' });
    expect(checked(`${base}.sha256`).match(/: OK$/gm)).toHaveLength(Object.keys(files).length);
  });

  test('what is there already is never written over', async () => {
    const record = await put();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${base}.dump`), 'mine');
    await expect(exported(record)).rejects.toMatchObject({
      code: 'file-unwritable',
      message: `'${join(folder, `${base}.dump`)}' is there already`,
    });
    expect(readFileSync(join(folder, `${base}.dump`), 'utf8')).toBe('mine');
    expect(there()).toEqual([`${base}.dump`]);
  });

  test('of a damaged dump no file appears; a whole copy in another repository makes up for it', async () => {
    const record = await put({ partBytes: 200_000 }, noise(700_000));
    const far = await newPlace('far');
    execFileSync('cp', ['-r', `${repository.location}/shop`, far.location]);
    const last = record.dump.parts.at(-1)?.key as string;
    const path = join(repository.location, last);
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    execFileSync('chmod', ['u+w', path]);
    writeFileSync(path, bytes);
    await expect(exported(record)).rejects.toMatchObject({ code: 'object-damaged' });
    expect(there()).toEqual([]);
    const { file } = await exported(record, {}, clusterOf(repository, { ...far, name: 'far' }));
    expect(readFileSync(file).equals(noise(700_000))).toBe(true);
  });

  test('what a killed export left is gone with the next one', async () => {
    const left = join(folder, '.incoming/123-4-5-6');
    mkdirSync(join(left, 'half'), { recursive: true });
    writeFileSync(join(left, 'half/3456.dat'), 'half of it');
    utimesSync(left, 0, 0);
    await exported(await put());
    expect(readdirSync(join(folder, '.incoming'))).toEqual([]);
  });
});

describe("as the older scripts' layout", () => {
  const sql = { stream: 'dump.sql', format: 'plain', tier: 'full' } as const;

  test('plain SQL is gzipped below its tier', async () => {
    const { file, files } = await exported(await put(sql), { layout: 'tiers', alone: true });
    expect(file).toBe(join(folder, 'full/full_20261121_020000.sql.gz'));
    expect(files).toEqual([file]);
    expect(gunzipSync(readFileSync(file)).equals(plain)).toBe(true);
  });

  test.each(['aes-256-cbc', 'aes-128-cbc'] as const)('with a key of %s openssl and gunzip read it', async (cipher) => {
    keys = await newKeys(cipher);
    const { file } = await exported(await put(sql), { layout: 'tiers' });
    expect(file).toBe(join(folder, 'full/full_20261121_020000_shop.sql.gz.enc'));
    const { passphrase } = sealingFor(keys) as { passphrase: string };
    const env = { ...process.env, PASS: passphrase };
    const opened = execFileSync(
      'sh',
      ['-c', `openssl enc -d -${cipher} -pbkdf2 -pass env:PASS -in '${file}' | gunzip`],
      {
        env,
        maxBuffer: 1e7,
      },
    );
    expect(opened.equals(plain)).toBe(true);
  });

  test('another format than plain is refused, of a record and before anything is dumped', async () => {
    const refused = { code: 'usage', facts: { layout: 'tiers', format: 'custom' } };
    await expect(exported(await put(), { layout: 'tiers' })).rejects.toMatchObject(refused);
    const config = { dumps: { databases: 'all', perDatabase: {}, export: { folder, layout: 'tiers' } } } as never;
    const target = { kind: 'database', options: { format: 'custom' } } as never;
    expect(() => checkExport(config, [target])).toThrow(expect.objectContaining(refused));
    expect(() => checkExport(config, [{ kind: 'cluster', options: { format: 'custom' } } as never])).not.toThrow();
  });
});

test('a database is alone where the configuration dumps it and no other', () => {
  const alone = (databases: unknown) => isAlone({ dumps: { databases } } as never, { database: 'shop' });
  expect([alone('all'), alone(['shop']), alone(['crm']), alone(['shop', 'crm'])]).toEqual([false, true, false, false]);
});

test.each([
  ['a file', []],
  ['what passes something', [createGzip]],
])('bytes that turn out to be wrong are forgotten, of %s', async (_what, through) => {
  const { sha256 } = await writeNew(
    tempDir(),
    'x',
    async (take, again) => {
      await take(noise(3_000_000));
      await again();
      await take(Buffer.from('right'));
    },
    run,
    () => through.map((make) => make()),
  );
  const right = through.length === 0 ? Buffer.from('right') : gzipSync('right');
  expect(sha256).toBe(createHash('sha256').update(right).digest('hex'));
});

/** As it is stored: a large file in pieces, with others between them. */
function directoryDump(): { tar: Buffer; files: Record<string, Buffer> } {
  const files = { 'toc.dat': Buffer.from('PGDMP…'), '3456.dat.gz': noise(90_000), '3457.dat.gz': noise(40_000, 2) };
  const pieces = tempDir('pieces');
  const write = (name: string, bytes: Buffer) => writeFileSync(join(pieces, name), bytes);
  write('3456.dat.gz.000001', files['3456.dat.gz'].subarray(0, 50_000));
  write('3457.dat.gz', files['3457.dat.gz']);
  write('3456.dat.gz.000002', files['3456.dat.gz'].subarray(50_000));
  write('toc.dat', files['toc.dat']);
  const members = ['3456.dat.gz.000001', '3457.dat.gz', '3456.dat.gz.000002', 'toc.dat'];
  const tar = execFileSync('tar', ['-c', '-f', '-', '-C', pieces, ...members], { maxBuffer: 1e7 });
  return { tar, files };
}
