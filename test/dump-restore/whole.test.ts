import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { openPlannedFile } from '../../activities/planned.ts';
import type { DrillCheckConfig } from '../../core/config.ts';
import type { DumpKind } from '../../core/dump.ts';
import { PgproofError } from '../../core/errors.ts';
import { dumpTargets, takeDump } from '../../dump/dump.ts';
import { confirmPlan } from '../../dump/restore/confirm.ts';
import type { RestoreServer } from '../../dump/restore/plan.ts';
import type { WholePlan } from '../../dump/restore/plan-record.ts';
import type { DumpSource } from '../../dump/restore/source.ts';
import { planWholeRestore } from '../../dump/restore/whole/plan.ts';
import { startWholeRestore } from '../../dump/restore/whole/start.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { pgproof } from '../client/cli.ts';
import { run } from '../dump/support.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';

describe.each(alternate(0))('what pg_dumpall %s wrote', (major) => {
  let stage: Stage;
  let server: Cluster;
  let other: RestoreServer;
  const odd = `it's "ü" dbname=postgres`;
  const quoted = `"${odd.replaceAll('"', '""')}"`;
  beforeAll(async () => {
    [stage, server] = await Promise.all([openStage({ major }), startCluster({ major })]);
    const { sql } = stage.server;
    await sql(
      `CREATE ROLE app LOGIN PASSWORD 'never told'; CREATE ROLE reader; GRANT reader TO app; CREATE ROLE lucky`,
    );
    await sql(`CREATE DATABASE ${quoted} OWNER app`);
    // Rows that come back only where there is a role that no dump has.
    await sql(
      `CREATE FUNCTION fits() RETURNS bool LANGUAGE sql AS $$ SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lucky') $$;
       CREATE TABLE items (n int CHECK (fits()));
       INSERT INTO items SELECT generate_series(1, 100);
       ALTER TABLE items OWNER TO app`,
      [],
      odd,
    );
    await sql('DROP ROLE lucky');
    const config = parse(readFileSync(stage.configFile, 'utf8'));
    const connection = { socket: server.socketDir, port: server.port, user: server.user };
    config.clusters.other = { ...config.clusters.shop, connection, tools: { bin: server.bin } };
    writeFileSync(stage.configFile, stringify(config));
    const own = stage.cluster.config;
    other = { name: 'other', config: { ...own, connection: { ...own.connection, ...connection } } };
  });
  afterAll(async () => {
    await server?.dispose();
    await stage?.dispose();
  });

  const here = (...args: string[]) => pgproof([...args, '--config', stage.configFile, '--host', 'db-7']);
  const planned = ({ id }: DumpRecord, to = other) =>
    planWholeRestore(stage.cluster, to, { dump: { id }, globals: 'missing', user: null }, quietRun());
  const start = (plan: WholePlan, checks: DrillCheckConfig[] = []) => {
    const config = { ...stage.cluster.config, drills: { ...stage.cluster.config.drills, checks } };
    const openFile = () => Promise.reject(new Error('no file here'));
    return startWholeRestore({ ...stage.cluster, config }, plan, other, quietRun(), { openFile });
  };
  const dumped = async (kind: DumpKind): Promise<DumpRecord> => {
    const [target] = await dumpTargets(stage.cluster, { kind, tier: 'manual', databases: null }, quietRun());
    return (await takeDump(stage.cluster, target!, quietRun())).record;
  };

  test('of globals makes the roles that a server lacks, and leaves the others as they are', async () => {
    await server.sql('CREATE ROLE reader CREATEDB');
    const dump = await dumped('globals');
    const plan = await here('restore', 'plan', 'shop', '--dump', dump.id, '--server', 'other');
    expect(plan).toMatchObject({
      code: 0,
      json: {
        kind: 'whole',
        of: 'globals',
        makes: ['app'],
        confirmed: 'not needed',
        conflicts: [expect.stringMatching(/'reader' .*\(there: NOCREATEDB\)/)],
      },
    });
    expect(await here('restore', 'start', 'shop', (plan.json as WholePlan).id, '--offline')).toMatchObject({
      code: 0,
      json: { status: 'SUCCESS', tool: 'psql', database: null, result: { roles: ['app'], databases: [] } },
    });
    const roles = `SELECT (SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'app') AND pg_has_role('app', 'reader', 'MEMBER')
                      AND (SELECT rolcreatedb FROM pg_roles WHERE rolname = 'reader') AS ok`;
    expect(await server.sql(roles)).toEqual([{ ok: true }]);
    expect(await planned(dump)).toMatchObject({ makes: [], conflicts: [expect.stringContaining("'reader'")] });
  });

  test('of globals into a file by somebody is taken from there, and says that nobody signed it', async () => {
    const folder = tempDir();
    const { socketDir, port, user, bin } = stage.server;
    const path = join(folder, 'shop_globals.sql');
    await run(join(bin, 'pg_dumpall'), ['-g', '-h', socketDir, '-p', String(port), '-U', user, '-f', path]);
    const file = { path, passphrase: null, cipher: null };
    const dump = { file, source: await openPlannedFile(file) };
    const ask = { dump, globals: 'missing', user: null } as const;
    const plan = await planWholeRestore(stage.cluster, other, ask, quietRun());
    expect(plan).toMatchObject({
      of: 'globals',
      notes: expect.arrayContaining([expect.stringMatching(/Nobody signed/)]),
    });
  });

  test('of a whole server runs not a line before all of it is proven, and by a superuser only', async () => {
    const script =
      'CREATE ROLE evil;\nCREATE DATABASE evil;\n\\connect template1\n-- PostgreSQL database cluster dump complete\n';
    const source: DumpSource = {
      what: '/srv/all.sql',
      kind: 'cluster',
      format: 'plain',
      content: 'all',
      database: null,
      server: null,
      toolVersion: null,
      entries: null,
      plainBytes: script.length,
      globals: false,
      trusted: true,
      notes: [],
      read: async (_, take) => {
        await take(Buffer.from(script));
        throw new PgproofError('object-damaged', 'it is another one');
      },
    };
    const dump = { file: { path: '/srv/all.sql', passphrase: null, cipher: null }, source };
    const ask = { dump, globals: 'missing', user: null } as const;
    const whole = { ...source, read: (_: string, take: (chunk: Buffer) => Promise<void>) => take(Buffer.from(script)) };
    const plan = await planWholeRestore(stage.cluster, other, { ...ask, dump: { ...dump, source: whole } }, quietRun());
    expect(plan.makes).toEqual(['evil']);
    const confirmed = await confirmPlan(stage.cluster, plan, 'other', 'a test');
    const openFile = () => Promise.resolve(source);
    const started = startWholeRestore(stage.cluster, confirmed, other, quietRun(), { openFile });
    await expect(started).rejects.toMatchObject({ code: 'object-damaged' });
    const evil = `SELECT FROM pg_roles WHERE rolname = 'evil' UNION ALL SELECT FROM pg_database WHERE datname = 'evil'`;
    expect(await server.sql(evil)).toEqual([]);

    const flag = join(tempDir(), 'never-made');
    const commands = `\\connect template1\n\\! touch ${flag}\n${'SELECT 1;\n'.repeat(9)}-- PostgreSQL database cluster dump complete\n`;
    const theirs: DumpSource = { ...source, trusted: false, read: (_, take) => take(Buffer.from(commands)) };
    const asked = { ...ask, dump: { ...dump, source: theirs } };
    const unsigned = await planWholeRestore(stage.cluster, other, asked, quietRun());
    expect(unsigned.notes).toEqual(expect.arrayContaining([expect.stringMatching(/^Nobody signed .* the superuser/)]));
    const theirPlan = await confirmPlan(stage.cluster, unsigned, 'other', 'a test');
    const openTheirs = { openFile: () => Promise.resolve(theirs) };
    await expect(startWholeRestore(stage.cluster, theirPlan, other, quietRun(), openTheirs)).rejects.toMatchObject({
      code: 'dump-restore-failed',
      message: expect.stringContaining('restricted'),
    });
    expect(existsSync(flag)).toBe(false);

    await server.sql('CREATE ROLE lowly LOGIN');
    const lowly = { ...ask, dump: { ...dump, source: whole }, user: 'lowly' };
    await expect(planWholeRestore(stage.cluster, other, lowly, quietRun())).rejects.toMatchObject({
      code: 'rights-missing',
    });
  });

  test('of a whole server goes into an empty one once its name was said, and into no other', async () => {
    const dump = await dumped('cluster');
    await expect(planned(dump, { name: 'shop', config: stage.cluster.config })).rejects.toMatchObject({
      code: 'database-not-empty',
      message: expect.stringMatching(/it's "ü".*in 'postgres' it holds/),
    });
    const plan = await planned(dump);
    expect(plan).toMatchObject({ of: 'cluster', server: 'other', confirmed: null });
    await expect(start(plan)).rejects.toMatchObject({ code: 'restore-unconfirmed' });
    await expect(confirmPlan(stage.cluster, plan, 'shop', 'a test')).rejects.toMatchObject({
      code: 'restore-unconfirmed',
    });
    const confirmed = await confirmPlan(stage.cluster, plan, 'other', 'a test');

    await expect(start(confirmed)).rejects.toMatchObject({
      code: 'dump-restore-failed',
      message: expect.stringContaining('violates check constraint'),
      facts: { server: 'other', databases: expect.arrayContaining([odd]) },
      hint: expect.stringMatching(/^The server of 'other' has a part .* Empty it/),
    });
    await expect(start(confirmed)).rejects.toMatchObject({ code: 'database-not-empty' });
    await server.sql(`DROP DATABASE ${quoted}`);
    await server.sql('CREATE ROLE lucky');
    const check = { name: 'items', database: odd, sql: 'SELECT count(*) = 100 FROM items' };
    expect(await start(confirmed, [check])).toMatchObject({
      roles: [],
      databases: [
        { name: odd, tables: 1, largest: [{ schema: 'public', table: 'items', rows: 100 }] },
        { name: 'postgres' },
      ],
      checks: [{ name: 'items', passed: true }],
    });
    const owned = `SELECT tableowner AS owner FROM pg_tables WHERE tablename = 'items'`;
    expect(await server.sql(owned, [], odd)).toEqual([{ owner: 'app' }]);
    expect((await start(confirmed)).notes.at(-1)).toContain('carried out already');
  });
});
