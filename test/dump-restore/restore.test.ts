import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { confirmPlan } from '../../dump/restore/confirm.ts';
import { createStatement } from '../../dump/restore/database.ts';
import { listDump } from '../../dump/restore/list.ts';
import type { DumpRestoreOptions } from '../../dump/restore/options.ts';
import { noteBegun } from '../../dump/restore/plans.ts';
import { dumpSource } from '../../dump/restore/source.ts';
import { startDumpRestore } from '../../dump/restore/start.ts';
import { listHolds } from '../../repository/holds.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { standInDocker } from '../support/docker.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { until } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { type DumpStage, openDumpStage } from './support.ts';

/** Everything that a careless program takes for an option, a connection string, a quote, or two names. */
const odd = `-d host=evil "quoted" 'name' \\ ünïcode`;

describe.each(alternate(0))('on PostgreSQL %s', (major) => {
  let stage: DumpStage;
  let custom: DumpRecord;
  let own: string[];
  beforeAll(async () => {
    stage = await openDumpStage({ major });
    const { server } = stage;
    await server.sql(`CREATE ROLE "Ann O'Hara"`);
    await server.sql(`CREATE DATABASE "${odd.replaceAll('"', '""')}" OWNER "Ann O'Hara"`);
    const sql = (text: string) => server.sql(text, [], odd);
    await sql(`CREATE TABLE items (id int PRIMARY KEY, text text DEFAULT 'none')`);
    await sql(`INSERT INTO items SELECT n, md5(n::text) FROM generate_series(1, 1000) n`);
    await sql(`ALTER TABLE items OWNER TO "Ann O'Hara"`);
    await sql(`CREATE SCHEMA sales CREATE TABLE "odd; name" (line text)`);
    await sql(`INSERT INTO sales."odd; name" VALUES (E'\\\\. x'), (E'\\rrestrict abc'), ('\\! touch /tmp/never-made')`);
    stage.cluster.config.drills.checks.push({
      name: 'all-items',
      database: odd,
      sql: 'SELECT count(*) >= 1000 FROM items',
    });
    custom = await stage.dump(odd);
    own = await databases();
  });
  afterAll(() => stage?.dispose());
  // A test that failed has not dropped what it restored, which is in no other one's way.
  afterEach(async () => {
    for (const name of await databases()) if (!own.includes(name)) await drop(name);
  });

  const drop = (database: string) => stage.server.sql(`DROP DATABASE "${database.replaceAll('"', '""')}" WITH (FORCE)`);
  const databases = () => stage.column('SELECT datname FROM pg_database ORDER BY 1', 'postgres');

  const forms = [
    ['custom', {}, { jobs: 2 }],
    ['directory', { jobs: 2 }, { jobs: 2 }],
    ['plain', {}, { singleTransaction: true }],
  ] as const;
  const more = [
    ['custom', {}, { jobs: 1, singleTransaction: true }],
    ['tar', {}, {}],
  ] as const;
  test.each(process.env.PGPROOF_TEST_FULL ? [...forms, ...more] : forms)(
    'a dump in the format %s is restored into a database of an odd name, with %o and %o',
    async (format, more, options) => {
      const { id } = format === 'custom' ? custom : await stage.dump(odd, { format, ...more });
      const database = `${odd} 2`;
      const plan = await stage.plan(id, { database, options });
      const result = await stage.start(plan);
      expect(result).toMatchObject({
        kind: 'dump',
        database,
        tables: { found: 2, expected: 2 },
        largest: [
          { table: 'items', rows: 1000 },
          { table: 'odd; name', rows: 3 },
        ],
        checks: [{ name: 'all-items', passed: true }],
      });
      expect(await stage.column(`SELECT line FROM sales."odd; name" ORDER BY 1`, database)).toEqual(
        await stage.column(`SELECT line FROM sales."odd; name" ORDER BY 1`, odd),
      );
      const owner = `SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()`;
      expect(await stage.column(owner, database)).toEqual([`Ann O'Hara`]);
      const comment = `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()`;
      expect(await stage.column(comment, database)).toEqual(['null']);
      expect((await readdir(stage.cluster.paths.dumps)).filter((name) => name.includes('-restore-'))).toEqual([]);
      await drop(database);
    },
  );

  test('a plan holds its dump until it is carried out, and is carried out once', async () => {
    const plan = await stage.plan(custom.id);
    const held = async () =>
      (await listHolds(stage.cluster.repository, 'shop')).filter(({ dumps }) => dumps?.includes(custom.id));
    expect(await held()).toMatchObject([{ id: plan.holds[0]?.id, operation: 'plan' }]);
    const first = await stage.start(plan);
    expect(await held()).toEqual([]);
    await drop('restored');
    const again = await stage.start(plan);
    expect(again.notes.at(-1)).toContain('carried out already');
    expect({ ...again, notes: [] }).toEqual({ ...first, notes: [] });
    expect(await databases()).not.toContain('restored');
  });

  test('a database that exists is refused, named, and stays as it is', async () => {
    await expect(stage.plan(custom.id, { database: odd })).rejects.toMatchObject({ code: 'database-exists' });
    await expect(stage.plan(custom.id, { database: odd, mode: 'existing' })).rejects.toMatchObject({
      code: 'database-not-empty',
      message: expect.stringContaining('2 tables'),
    });
    await expect(stage.plan(custom.id, { mode: 'clean' })).rejects.toMatchObject({ code: 'database-missing' });
    // Made between the plan and its start.
    const plan = await stage.plan(custom.id, { database: 'meanwhile' });
    await stage.server.sql('CREATE DATABASE meanwhile');
    await expect(stage.start(plan)).rejects.toMatchObject({ code: 'database-exists' });
    expect(await databases()).toContain('meanwhile');
    await drop('meanwhile');
  });

  test('what an existing database holds is dropped only after somebody has said its name', async () => {
    await stage.start(await stage.plan(custom.id, { database: 'live' }));
    await stage.server.sql(`UPDATE items SET text = 'spoiled'; CREATE TABLE younger ()`, [], 'live');
    const plan = await stage.plan(custom.id, { database: 'live', mode: 'clean' });
    expect(plan.confirmed).toBeNull();
    const server = { name: 'shop', config: stage.cluster.config };
    const openFile = () => Promise.reject(new Error('none'));
    await expect(startDumpRestore(stage.cluster, plan, server, quietRun(), { openFile })).rejects.toMatchObject({
      code: 'restore-unconfirmed',
    });
    await expect(confirmPlan(stage.cluster, plan, 'Live', 'a test')).rejects.toMatchObject({
      code: 'restore-unconfirmed',
    });
    expect(await stage.column('SELECT DISTINCT text FROM items', 'live')).toEqual(['spoiled']);
    await stage.start(plan);
    expect(await stage.column(`SELECT count(*) FROM items WHERE text = 'spoiled'`, 'live')).toEqual(['0']);
    expect(await stage.column('SELECT count(*) FROM younger', 'live')).toEqual(['0']);

    // What cannot be dropped would be filled a second time.
    await stage.server.sql('CREATE VIEW mine AS SELECT * FROM sales."odd; name"', [], 'live');
    const clean = await stage.plan(custom.id, { database: 'live', mode: 'clean' });
    await expect(stage.start(clean)).rejects.toMatchObject({
      code: 'dump-restore-failed',
      hint: expect.stringContaining('is as it was'),
    });
    expect(await stage.column('SELECT count(*) FROM mine', 'live')).toEqual(['3']);
    await drop('live');
  });

  test('a new database takes the place of one that is there, which is renamed and stays; while it is in use, it does not', async () => {
    await stage.server.sql('CREATE DATABASE live');
    await stage.server.sql('CREATE TABLE old ()', [], 'live');
    const session = stage.server.sql('SELECT pg_sleep(600)', [], 'live').catch(() => {});
    const sessions = `SELECT count(*) FROM pg_stat_activity WHERE datname = 'live'`;
    await until(async () => (await stage.column(sessions, 'postgres'))[0] === '1');
    const busy = await stage.plan(custom.id, { database: 'live', mode: 'replace' });
    await expect(stage.start(busy)).rejects.toMatchObject({
      code: 'database-in-use',
      hint: expect.stringContaining('ALTER DATABASE "live" RENAME TO "live_before_'),
    });
    expect(await stage.column('SELECT count(*) FROM old', 'live')).toEqual(['0']);
    await stage.server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'live'`);
    await session;
    const result = await stage.start(busy);
    expect(result.replaced).toMatch(/^live_before_\d{8}T\d{6}Z$/);
    expect(await stage.column('SELECT count(*) FROM items', 'live')).toEqual(['1000']);
    expect(await stage.column('SELECT count(*) FROM old', result.replaced as string)).toEqual(['0']);
    expect(await databases()).not.toContain(`pgproof_${busy.id.slice(-8)}`);
    await drop('live');
    await drop(result.replaced as string);
  });

  test('one table, or what an edited list selects, comes back alone, also into a database that holds others', async () => {
    const one = await stage.start(await stage.plan(custom.id, { options: { tables: ['items'] } }));
    expect(one).toMatchObject({ tables: { found: 1, expected: 1 }, checks: [] });
    const refused: [DumpRestoreOptions, RegExp][] = [
      [{ tables: ['items', 'itens'] }, /no table 'itens'/],
      [{ tables: ['sales.odd; name'], content: 'data' }, /no table 'sales.odd; name'/],
      [{ tables: ['items'], schemas: ['sales'] }, /no table 'items' in schema 'sales'/],
      [{ schemas: ['sale'], jobs: 1 }, /no schema 'sale'/],
    ];
    for (const [options, message] of refused)
      await expect(stage.plan(custom.id, { mode: 'add', options })).rejects.toMatchObject({
        code: 'dump-unfit',
        message: expect.stringMatching(message),
      });
    const list = await listDump(
      stage.cluster,
      stage.cluster.config.tools,
      dumpSource(stage.cluster, custom),
      quietRun(),
    );
    const select = list
      .split('\n')
      .filter((line) => /odd; name|SCHEMA - sales/.test(line))
      .join('\n');
    const others = { select: select.replace(/^\d+/m, '99999') };
    await expect(stage.plan(custom.id, { mode: 'add', options: others })).rejects.toMatchObject({ code: 'dump-unfit' });
    await stage.start(await stage.plan(custom.id, { mode: 'add', options: { select } }));
    expect(await stage.column(`SELECT count(*) FROM sales."odd; name"`, 'restored')).toEqual(['3']);
    await drop('restored');
  });

  test('another role owns everything on wish, and only definitions or rows come where they were asked for', async () => {
    await stage.server.sql('CREATE ROLE other');
    await stage.start(await stage.plan(custom.id, { options: { content: 'schema', owner: { role: 'other' } } }));
    const owners = `SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'sales')`;
    expect(await stage.column(owners, 'restored')).toEqual(['other']);
    expect(await stage.column('SELECT count(*) FROM items', 'restored')).toEqual(['0']);
    await stage.start(await stage.plan(custom.id, { mode: 'add', options: { content: 'data' } }));
    expect(await stage.column('SELECT count(*) FROM items', 'restored')).toEqual(['1000']);

    // Rows come once: all of them or none, and never again where nobody knows whether they came.
    await stage.server.sql('DELETE FROM items WHERE id > 1', [], 'restored');
    const rows = await stage.plan(custom.id, { mode: 'add', options: { content: 'data' } });
    for (let attempt = 1; attempt <= 2; attempt += 1)
      await expect(stage.start(rows)).rejects.toMatchObject({ code: 'dump-restore-failed' });
    expect(await stage.column('SELECT count(*) FROM sales."odd; name"', 'restored')).toEqual(['3']);
    await stage.server.sql('DELETE FROM items', [], 'restored');
    await noteBegun(stage.cluster, rows.id);
    await expect(stage.start(rows)).rejects.toMatchObject({ code: 'restore-unverified' });
    expect(await stage.column('SELECT count(*) FROM items', 'restored')).toEqual(['0']);
    await drop('restored');
  });

  test('an error of pg_restore fails the restore, whose database stays, named, and is made anew by the same plan', async () => {
    const plan = await stage.plan(custom.id, { options: { jobs: 1 } });
    await stage.server.sql(`ALTER ROLE "Ann O'Hara" RENAME TO ann`);
    await expect(stage.start(plan)).rejects.toMatchObject({
      code: 'dump-unfit',
      message: expect.stringContaining(`'Ann O'Hara'`),
    });
    await stage.server.sql(`ALTER ROLE ann RENAME TO "Ann O'Hara"`);
    await stage.start(plan);
    await drop('restored');

    await stage.server.sql('CREATE DATABASE fragile');
    const sql = (text: string) => stage.server.sql(text, [], 'fragile');
    await sql(`CREATE FUNCTION allowed() RETURNS boolean LANGUAGE plpgsql AS $$
      BEGIN IF current_setting('shop.closed', true) = 'on' THEN RAISE 'closed today'; END IF; RETURN true; END $$`);
    await sql('CREATE TABLE doors (n int CHECK (public.allowed())); INSERT INTO doors VALUES (1), (2)');
    for (const format of ['custom', 'plain'] as const) {
      const fragile = await stage.plan((await stage.dump('fragile', { format })).id, { options: { jobs: 1 } });
      await stage.server.sql(`ALTER ROLE postgres SET "shop.closed" = 'on'`); // nothing can know that it matters
      await expect(stage.start(fragile)).rejects.toMatchObject({
        code: 'dump-restore-failed',
        message: expect.stringContaining('closed today'),
        hint: expect.stringContaining(`The database 'restored' stays as it is, unfinished`),
      });
      const comment = `SELECT datconnlimit, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'restored'`;
      const [marks] = await stage.server.sql(comment);
      const marker = `pgproof: not finished, by restore plan ${fragile.id}`;
      expect(marks).toEqual({ datconnlimit: -1, shobj_description: marker });
      await drop('restored'); // a start that was killed between its making and its comment leaves it so:
      await stage.server.sql(createStatement({ name: 'restored', owner: null, marker }, null, Number(major)));
      await stage.server.sql('ALTER ROLE postgres RESET "shop.closed"');
      await stage.start(fragile);
      expect(await stage.column('SELECT count(*) FROM doors', 'restored')).toEqual(['2']);
      await drop('restored');
    }
  });

  test('a dump that is damaged in its last part leaves no database that looks finished', async () => {
    const { id, dump } = await stage.dump(odd, { format: 'custom' });
    const path = join(stage.folder, 'repository', dump.parts[0]?.key as string);
    chmodSync(path, 0o600);
    const whole = readFileSync(path);
    const plan = await stage.plan(id, { options: { jobs: 1 } });
    const staged = await stage.plan(id, { database: 'staged' });
    writeFileSync(path, whole.with(whole.length - 5, (whole.at(-5) as number) ^ 1));
    await expect(stage.start(staged)).rejects.toMatchObject({ code: 'object-damaged' });
    expect(await databases()).not.toContain('staged');
    await expect(stage.start(plan)).rejects.toMatchObject({ code: 'object-damaged' });
    const finished = `SELECT datname FROM pg_database WHERE datname = 'restored'
      AND shobj_description(oid, 'pg_database') NOT LIKE 'pgproof: not finished%'`;
    expect(await stage.column(finished, 'postgres')).toEqual([]);
    writeFileSync(path, whole.subarray(0, -1));
    await expect(stage.plan(id)).rejects.toMatchObject({ code: 'object-damaged', facts: { dump: id } });
    rmSync(path);
    await expect(stage.plan(id)).rejects.toMatchObject({ code: 'object-missing', facts: { dump: id } });
    await stage.server.sql('DROP DATABASE IF EXISTS restored');
  });

  test('the programs of a container restore a dump, their password only in the environment; a directory they cannot see', async () => {
    const { cluster, server } = stage;
    const docker = standInDocker(tempDir('docker'), server.bin);
    try {
      process.env.SHOP_PASSWORD = 'correct horse';
      const connection = { ...cluster.config.connection, password: { env: 'SHOP_PASSWORD' } };
      const inContainer = {
        name: 'shop',
        config: { connection, tools: { bin: 'auto' as const, docker: docker.container } },
      };
      for (const format of ['custom', 'plain'] as const) {
        const { id } = format === 'custom' ? custom : await stage.dump(odd, { format });
        const result = await stage.start(await stage.plan(id, { server: inContainer }), inContainer);
        expect(result).toMatchObject({ jobs: 1, tables: { found: 2, expected: 2 } });
        await drop('restored');
      }
      expect(docker.calls().flat()).toEqual(expect.arrayContaining(['pg_restore', 'psql', 'PGPASSWORD']));
      expect(JSON.stringify(docker.calls())).not.toContain('horse');
      const directory = await stage.dump(odd, { format: 'directory' });
      await expect(stage.plan(directory.id, { server: inContainer })).rejects.toMatchObject({
        code: 'dump-unfit',
        message: expect.stringContaining('sees no file of this host'),
      });
    } finally {
      docker.remove();
      delete process.env.SHOP_PASSWORD;
    }
  });

  test('a restored database that does not answer as the configuration demands is not called restored', async () => {
    const checks = stage.cluster.config.drills.checks;
    checks.push({ name: 'more-items', database: odd, sql: 'SELECT count(*) > 1000 FROM items' });
    const plan = await stage.plan(custom.id);
    await expect(stage.start(plan)).rejects.toMatchObject({
      code: 'restore-unverified',
      facts: { checks: ['more-items'] },
    });
    checks.pop();
    await stage.start(plan);
    await drop('restored');
  });
});
