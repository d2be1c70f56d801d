import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSource } from '../../import/source.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { keptTempDir, tempDir } from '../support/temp.ts';
import { passphrase, script } from './old-scripts.ts';

let server: Cluster;
let made: string;
const { signal } = new AbortController();
const opening = { passphrase };
const forms = { 'dump.sql': '-Fp', 'dump.dump': '-Fc -Z9', 'dump.tar': '-Ft', folder: '-Fd -j2' };

beforeAll(async () => {
  made = keptTempDir('import');
  server = await startCluster({ major: majors.at(-1) as string });
  await server.sql('CREATE DATABASE "shop ""of"" sun"');
  await server.sql(
    "CREATE TABLE orders AS SELECT n, repeat('x', 200) AS note FROM generate_series(1, 2000) n",
    [],
    'shop "of" sun',
  );
  for (const [name, flags] of Object.entries(forms))
    await script(server, `pg_dump ${flags} -f "$FILE" "dbname='shop \\"of\\" sun'"`, { FILE: join(made, name) });
  await script(server, 'pg_dumpall --globals-only > "$FILE"', { FILE: join(made, 'all_globals.sql') });
});

afterAll(async () => {
  await server.dispose();
  execFileSync('rm', ['-rf', made]);
});

/** A copy of a dump, wrapped as scripts do it. */
function wrapped(name: string, ...layers: string[]): string {
  const suffixes = layers.map((layer) => (layer === 'gz' ? '.gz' : '.enc')).join('');
  const file = join(tempDir(), `${name}${suffixes}`);
  const commands = layers.map((layer) =>
    layer === 'gz' ? 'gzip -9' : `openssl enc -${layer} -salt -pbkdf2 -pass env:SECRET`,
  );
  const line = ['cat "$IN"', ...commands].join(' | ');
  execFileSync('sh', ['-c', `${line} > "$OUT"`], {
    env: { PATH: process.env.PATH, IN: join(made, name), OUT: file, SECRET: passphrase },
  });
  return file;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of (await openSource(path, opening)).open(signal)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const original = (name: string): string =>
  createHash('sha256')
    .update(readFileSync(join(made, name)))
    .digest('hex');

test('an archive that pg_dump wrote to its standard output, and that was a file, is whole', async () => {
  const file = join(made, 'redirected.dump');
  // From 16 on its table of contents is in it twice, the second time at its end.
  await script(server, `pg_dump -Fc "dbname='shop \\"of\\" sun'" > "$FILE"`, { FILE: file });
  expect(await sha256(file)).toBe(original('redirected.dump'));
  const cut = join(tempDir(), 'cut.dump');
  writeFileSync(cut, readFileSync(file).subarray(0, -30));
  await expect(sha256(cut)).rejects.toMatchObject({ code: 'object-damaged' });
  appendFileSync(file, 'more');
  await expect(sha256(file)).rejects.toMatchObject({ code: 'object-damaged' });
});

describe('the bytes of a dump', () => {
  const combinations = [
    [],
    ['gz'],
    ['aes-256-cbc'],
    ['gz', 'aes-256-cbc'],
    ['gz', 'aes-192-cbc'],
    ['aes-128-cbc'],
    ['aes-192-cbc', 'gz'],
    ['gz', 'aes-128-cbc', 'gz'],
  ];
  for (const name of ['dump.sql', 'dump.dump', 'dump.tar'])
    for (const layers of combinations)
      test(`come out of ${[name, ...layers].join(' in ')} as they went in`, async () => {
        const file = wrapped(name, ...layers);
        const source = await openSource(file, opening);
        expect({ format: source.format, layers: source.layers, disagreement: source.disagreement }).toEqual({
          format: { 'dump.sql': 'plain', 'dump.dump': 'custom', 'dump.tar': 'tar' }[name],
          layers: layers.map((layer) => (layer === 'gz' ? 'gzip' : layer)).toReversed(),
          disagreement: null,
        });
        expect(await sha256(file)).toBe(original(name));
      });

  test('say which database and server they are of, where the format does', async () => {
    const head = async (name: string) => (await openSource(join(made, name))).head;
    const version = expect.stringMatching(new RegExp(`^${server.major}\\.`));
    const known = { database: 'shop "of" sun', serverVersion: version, toolVersion: version };
    expect(await head('dump.dump')).toMatchObject({ ...known, wallTime: expect.any(Number) });
    expect(await head('dump.tar')).toMatchObject(known);
    expect(await head('folder')).toMatchObject(known);
    expect(await head('dump.sql')).toMatchObject({ ...known, database: null, encoding: 'UTF8' });
    const { wallTime } = await head('dump.dump');
    expect(Math.abs((wallTime as number) - Date.now())).toBeLessThan(16 * 3600_000);
  });

  test('tell globals from a dump', async () => {
    expect(await openSource(join(made, 'all_globals.sql'))).toMatchObject({ format: 'plain', kind: 'globals' });
    await sha256(join(made, 'all_globals.sql'));
  });

  test('are believed, and not the name', async () => {
    const file = join(tempDir(), 'orders.sql.gz');
    writeFileSync(file, readFileSync(wrapped('dump.dump', 'aes-128-cbc')));
    const { disagreement } = await openSource(file, opening);
    expect(disagreement).toBe("its name says otherwise, but it is pg_dump's custom format, aes-128-cbc");
  });
});

describe('a passphrase', () => {
  test('that is wrong is named before the long work, with the file', async () => {
    const file = wrapped('dump.sql', 'gz', 'aes-256-cbc');
    await expect(openSource(file, { passphrase: 'another' })).rejects.toMatchObject({
      code: 'passphrase-wrong',
      message: `'${file}': the passphrase opens it with none of aes-256-cbc, aes-192-cbc, aes-128-cbc`,
    });
    await expect(openSource(file, { passphrase, cipher: 'aes-128-cbc' })).rejects.toMatchObject({
      code: 'passphrase-wrong',
    });
  });

  test('that is not there is asked for', async () => {
    await expect(openSource(wrapped('dump.sql', 'aes-256-cbc'))).rejects.toMatchObject({ code: 'passphrase-missing' });
  });
});

describe('a file that was cut', () => {
  const cut = (file: string, bytes: number): string => {
    truncateSync(file, readFileSync(file).length - bytes);
    return file;
  };
  for (const layers of [[], ['gz'], ['aes-256-cbc'], ['gz', 'aes-256-cbc']])
    for (const bytes of [16, 4000])
      test(`by ${bytes} bytes shows at its end: ${['dump.sql', ...layers].join(' in ')}`, async () => {
        const file = cut(wrapped('dump.sql', ...layers), bytes);
        await expect(sha256(file)).rejects.toMatchObject({ code: 'object-damaged', facts: { path: file } });
      });

  for (const name of ['dump.dump', 'dump.tar'])
    test(`shows in ${name}`, async () => {
      await expect(sha256(cut(wrapped(name), name === 'dump.tar' ? 9000 : 200))).rejects.toMatchObject({
        code: 'object-damaged',
      });
    });

  test('and one that has something behind its end is no better', async () => {
    const file = wrapped('dump.sql', 'gz');
    appendFileSync(file, Buffer.alloc(600_000));
    await expect(sha256(file)).rejects.toMatchObject({
      code: 'object-damaged',
      message: `'${file}': something follows its gzip data`,
    });
  });

  test('but two gzip members are one stream, as gunzip has it', async () => {
    const file = wrapped('dump.sql', 'gz');
    const text = readFileSync(join(made, 'dump.sql'));
    const half = (part: Buffer) => execFileSync('gzip', ['-c'], { input: part });
    writeFileSync(file, Buffer.concat([half(text.subarray(0, 5000)), half(text.subarray(5000))]));
    expect(await sha256(file)).toBe(original('dump.sql'));
  });
});

test('What is no dump, no ordinary file, or not there is refused with its path', async () => {
  const folder = tempDir();
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const refusal = (path: string) => openSource(path, opening).catch(({ code, facts }) => [code, facts.path === path]);
  expect(await refusal(file('empty.sql.gz.enc', ''))).toEqual(['file-unknown', true]);
  expect(await refusal(file('notes.sql', 'SELECT 1;\n'))).toEqual(['file-unknown', true]);
  expect(await refusal(file('zeros.dump', Buffer.alloc(10_000)))).toEqual(['file-unknown', true]);
  expect(await refusal(join(folder, 'absent'))).toEqual(['file-refused', true]);
  symlinkSync(join(made, 'dump.sql'), join(folder, 'link.sql'));
  expect(await refusal(join(folder, 'link.sql'))).toEqual(['file-refused', true]);
  execFileSync('mkfifo', [join(folder, 'pipe.sql')]);
  expect(await refusal(join(folder, 'pipe.sql'))).toEqual(['file-refused', true]);
  mkdirSync(join(folder, 'not a dump'));
  expect(await refusal(join(folder, 'not a dump'))).toEqual(['file-unknown', true]);
});
