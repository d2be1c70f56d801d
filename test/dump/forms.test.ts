import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DumpFormat, DumpOptions } from '../../core/dump.ts';
import { CustomCheck } from '../../dump/archive/custom.ts';
import { PlainCheck } from '../../dump/archive/plain.ts';
import { TarCheck } from '../../dump/archive/tar.ts';
import { dumpTargets, takeDump } from '../../dump/dump.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { fetchDump, fetchStream, listed, partKeys, run, targetOf } from './support.ts';

/** A name that is an option, a connection string and a quoting in one, and 63 bytes long. */
const odd = `--host=evil 'ü"\\ dbname=postgres ${'x'.repeat(29)}`;
const quoted = `"${odd.replaceAll('"', '""')}"`;

const forms: [DumpFormat, DumpOptions][] = [
  ['custom', {}],
  ['directory', { jobs: 2 }],
  ['directory', { compression: 'gzip:1' }],
  ['tar', {}],
];
/* `npm run test:full` has more of them. */
if (process.env.PGPROOF_TEST_FULL)
  forms.push(
    ['custom', { compression: 'none' }],
    ['custom', { compression: 'gzip:9' }],
    ['directory', { compression: 'none', jobs: 1 }],
  );

describe.each(alternate(1))('on PostgreSQL %s', (major) => {
  let stage: Stage;
  let sql: (text: string) => Promise<object[]>;
  beforeAll(async () => {
    stage = await openStage({ major });
    await stage.server.sql(`CREATE DATABASE ${quoted}`);
    sql = (text) => stage.server.sql(text, [], odd);
    await sql(`CREATE TABLE items AS SELECT n, repeat(md5(n::text), 4) AS text FROM generate_series(1, 20000) n`);
    await sql('CREATE TABLE empty ()');
    await sql(`CREATE TABLE others AS SELECT n FROM generate_series(1, 10) n`);
    await sql(`SELECT lo_from_bytea(0, 'large'), lo_from_bytea(0, '')`);
  });
  afterAll(() => stage?.dispose());

  const pg = async (program: string, ...args: string[]): Promise<string> => {
    const { stdout } = await run(join(stage.server.bin, program), args, { maxBuffer: 1 << 28 });
    return stdout.replace(/^\\(?:un)?restrict .*$/gm, '');
  };
  const theirs = (...args: string[]): Promise<string> => {
    const { socketDir, port, user } = stage.server;
    const name = `dbname='${odd.replace(/[\\']/g, '\\$&')}'`;
    return pg('pg_dump', '-h', socketDir, '-p', String(port), '-U', user, ...args, '-d', name);
  };

  test.each(forms)(
    'in the format %s (%o) an odd name is dumped whole, and what is stored is what pg_dump wrote',
    async (format, options) => {
      const { record, copies } = await takeDump(stage.cluster, targetOf(odd, { format, ...options }), quietRun());
      expect(copies).toMatchObject({ repositories: ['local'], dropped: [] });
      expect(record).toMatchObject({
        database: odd,
        format,
        verified: ['exit', 'trailer', 'list', 'checksum'],
        entries: { tables: 3, tableData: 3 },
        server: { major: Number(major), encoding: 'UTF8', inRecovery: false },
        findings: [],
      });
      const path = await fetchDump(stage.cluster, record, tempDir());
      expect((await pg('pg_restore', '-f', '-', path)) === (await theirs())).toBe(true);
      expect(readdirSync(stage.cluster.paths.dumps).filter((name) => name !== 'swept')).toEqual([]);
    },
  );

  test('plain SQL is what pg_dump writes, with the globals beside it', async () => {
    const target = targetOf(odd, { format: 'plain', globals: true, tables: ['items', 'o*'], owner: false });
    const { record } = await takeDump(stage.cluster, target, quietRun());
    expect(record).toMatchObject({ compression: 'none', entries: null, verified: ['exit', 'trailer', 'checksum'] });
    const text = readFileSync(await fetchDump(stage.cluster, record, tempDir()), 'utf8').replace(
      /^\\.*restrict .*$/gm,
      '',
    );
    expect(text === (await theirs('--no-owner', '-t', 'items', '-t', 'o*'))).toBe(true);
    const globals = join(tempDir(), 'globals');
    await fetchStream(stage.cluster, record, record.globals!, globals);
    expect(readFileSync(globals, 'utf8')).toContain('CREATE ROLE postgres;');
  });

  test('the globals alone, and the whole server, are SQL of pg_dumpall', async () => {
    for (const [kind, said] of [
      ['globals', 'CREATE ROLE postgres;'],
      ['cluster', 'CREATE TABLE public.items'],
    ] as const) {
      const [target] = await dumpTargets(stage.cluster, { kind, tier: 'weekly', databases: null }, quietRun());
      const { record } = await takeDump(stage.cluster, target!, quietRun());
      expect(record).toMatchObject({ kind, database: null, tier: 'weekly', format: 'plain', globals: null });
      expect(readFileSync(await fetchDump(stage.cluster, record, tempDir()), 'utf8')).toContain(said);
    }
  });

  test('an archive that ends anywhere but at its end is no whole one', async () => {
    for (const [format, check] of [
      ['custom', () => new CustomCheck()],
      ['tar', () => new TarCheck()],
      ['plain', () => new PlainCheck('pg_dump')],
    ] as const) {
      const { record } = await takeDump(
        stage.cluster,
        targetOf(odd, { format, tables: ['others', 'empty'] }),
        quietRun(),
      );
      const whole = readFileSync(await fetchDump(stage.cluster, record, tempDir()));
      const isWhole = (bytes: number, chunk: number): boolean => {
        const looking = check();
        try {
          for (let at = 0; at < bytes; at += chunk) looking.read(whole.subarray(at, Math.min(bytes, at + chunk)));
          looking.finish();
          return true;
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(dump-unverified|tar-invalid)$/) });
          return false;
        }
      };
      for (const chunk of [1, 7, 1000, whole.length])
        expect([format, isWhole(whole.length, chunk)]).toEqual([format, true]);
      // A tar may be padded behind its end mark; two blocks are the mark.
      const end = format === 'tar' ? whole.lastIndexOf('restore.sql') : whole.length;
      for (let bytes = 0; bytes < end; bytes += Math.ceil(end / 100))
        expect([format, bytes, isWhole(bytes, 1000)]).toEqual([format, bytes, false]);
      expect(isWhole(end - 1, 1000)).toBe(false);
    }
  });

  test('a dump that is suddenly half as large is committed with a finding', async () => {
    const target = { ...targetOf(odd, { format: 'plain' }), tier: 'daily' };
    await takeDump(stage.cluster, target, quietRun());
    await sql('DELETE FROM items WHERE n > 100');
    const { record } = await takeDump(stage.cluster, target, quietRun());
    expect(record.findings).toEqual([expect.stringMatching(/^less than half as large as the last one: /)]);
    expect(await listed(stage.cluster)).toContain(record.id);
    expect(await partKeys(stage.cluster)).toContain(record.dump.parts[0]!.key);
  });
});
