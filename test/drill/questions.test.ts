import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { runId } from '../../core/ids.ts';
import { askEverything, ownChecks, unasked } from '../../drill/checks.ts';
import { eraseMarkers, type Probe, readMarkers, writeProbe } from '../../drill/probe.ts';
import { withClient } from '../../postgres/client.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { reloadConfig } from '../postgres/reload.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';

const run = { signal: new AbortController().signal, progress: () => {} };
const newId = (random: string) => runId(new Date(), 'drill', random);

describe.each(alternate(0))('a probe, and the questions of a drill, on PostgreSQL %s', (major) => {
  let server: Cluster;

  beforeAll(async () => {
    server = await startCluster({ major });
    await server.sql('CREATE ROLE weak LOGIN');
  });

  afterAll(() => server?.dispose());

  test('a database without the schema is told how to get it, and nothing is made in it', async () => {
    await expect(writeProbe(clusterOf(server), newId('00000001'), run)).rejects.toMatchObject({
      code: 'schema-missing',
      hint: expect.stringContaining('pgproof heartbeat install shop'),
    });
    expect(await server.sql(`SELECT FROM pg_class WHERE relname = 'drill_marker'`)).toEqual([]);
  });

  test('a role that may not write the markers is a finding, not a smaller probe', async () => {
    await server.sql('CREATE SCHEMA pgproof');
    await expect(writeProbe(clusterOf(server, 'weak'), newId('00000002'), run)).rejects.toMatchObject({
      code: 'rights-missing',
    });
  });

  test('row A is committed before the restore point, row B after it, and both before the end that is waited for', async () => {
    const cluster = clusterOf(server);
    const probe = await writeProbe(cluster, newId('00000003'), run);
    const [order] = await server.sql(
      `SELECT $1::pg_lsn < $2::pg_lsn AS ends_later, (SELECT array_agg(marker ORDER BY at) FROM pgproof.drill_marker WHERE drill = $3) AS markers`,
      [probe.lsn, probe.endLsn, probe.drillId],
    );
    expect(order).toEqual({ ends_later: true, markers: ['A', 'B'] });
    expect(probe.restorePoint).toBe(`pgproof-${probe.drillId}`);
    await eraseMarkers(cluster, probe.drillId);
    expect(await server.sql('SELECT FROM pgproof.drill_marker')).toEqual([]);
  });

  test('the markers of a killed drill go with a later one, those of one that may go on stay', async () => {
    const cluster = clusterOf(server);
    await server.sql(
      `INSERT INTO pgproof.drill_marker VALUES ('killed', 'A', now() - interval '2 days'), ('other', 'A', now())`,
    );
    await eraseMarkers(cluster, newId('00000004'));
    expect(await server.sql('SELECT drill FROM pgproof.drill_marker')).toEqual([{ drill: 'other' }]);
  });

  test('a commit of a marker waits for no standby', async () => {
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'away'`);
    await reloadConfig(server);
    try {
      await expect(writeProbe(clusterOf(server), newId('00000005'), run)).resolves.toBeTruthy();
    } finally {
      await server.sql('ALTER SYSTEM RESET synchronous_standby_names');
      await reloadConfig(server);
    }
  });

  test('a server that is not paused at the restore point says no, and so does one that has the row behind it', async () => {
    const probe = await writeProbe(clusterOf(server), newId('00000006'), run);
    const asked = await ask(server, probe, []);
    expect(asked.map(({ name, passed }) => [name, passed])).toEqual([
      ['stopped-at-target', false],
      ['marker-a-present', true],
      ['marker-b-absent', false],
    ]);
  });

  test.each([
    ['SELECT count(*) = 3 FROM generate_series(1, 3); -- three', true],
    ['SELECT false', false],
    ['SELECT NULL::boolean', false],
    ['SELECT true WHERE false', null],
    ['SELECT true FROM pg_class a, pg_class b, pg_class c', null],
    [`SELECT 'yes'`, null],
    ['SELECT true FROM no_such_table', null],
    ['SELECT pg_read_file(current_setting($$data_directory$$) || $$/PG_VERSION$$) IS NOT NULL', null],
    ['this is not SQL', null],
    ['SELECT true; CREATE TABLE pgproof.made_by_a_check ()', null],
  ])('a check of the config is judged: %s', async (sql, passed) => {
    await server.sql('GRANT USAGE ON SCHEMA pgproof TO weak');
    const asked = await ask(server, await anyProbe(), [{ name: 'orders', database: 'postgres', sql }], 'weak');
    expect(asked.at(-1)).toMatchObject({ name: 'orders', passed });
    expect(asked.at(-1)?.detail).not.toBe('');
  });

  test('a check in a database that is not there could not run', async () => {
    const asked = await ask(server, await anyProbe(), [{ name: 'orders', database: 'gone', sql: 'SELECT true' }]);
    expect(asked.at(-1)).toMatchObject({ passed: null, detail: expect.stringContaining('gone') });
  });

  test('a damaged table is an answer: no', async () => {
    await server.sql('CREATE TABLE damaged AS SELECT generate_series(1, 5) AS id');
    const raise = `CREATE FUNCTION broken_page() RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN RAISE 'invalid page in block 0' USING ERRCODE = 'XX001'; END $$`;
    await server.sql(raise);
    const asked = await ask(server, await anyProbe(), [
      { name: 'orders', database: 'postgres', sql: 'SELECT broken_page()' },
    ]);
    expect(asked.at(-1)).toMatchObject({ passed: false });
  });

  test('every name that was not asked is answered: it could not run', () => {
    const answered = [{ name: 'pg_verifybackup', passed: true, detail: '' }];
    const names = unasked(answered, [...ownChecks, 'orders'], 'the store was away');
    expect(names.map(({ name, passed }) => [name, passed])).toEqual([
      ['stopped-at-target', null],
      ['marker-a-present', null],
      ['marker-b-absent', null],
      ['orders', null],
    ]);
  });

  const anyProbe = async (): Promise<Probe> => ({
    drillId: newId('00000007'),
    restorePoint: 'none',
    lsn: '0/1' as Probe['lsn'],
    at: new Date().toISOString(),
    endLsn: '0/1' as Probe['lsn'],
  });

  test('markers are read back by drill', async () => {
    const probe = await writeProbe(clusterOf(server), newId('00000008'), run);
    const read = (id: typeof probe.drillId) =>
      withClient(clusterOf(server).config.connection, (client) => readMarkers(client, id));
    expect(await read(probe.drillId)).toEqual(['A', 'B']);
    expect(await read(newId('00000009'))).toEqual([]);
  });
});

function ask(
  server: Cluster,
  probe: Probe,
  checks: { name: string; database: string; sql: string }[],
  user = 'postgres',
) {
  return askEverything(clusterOf(server, user).config.connection, probe, checks, run.signal);
}

function clusterOf(server: Cluster, user = 'postgres'): ProtectedCluster {
  const connection = { socket: server.socketDir, port: server.port, user };
  const config = configSchema.parse({
    hosts: { h: {} },
    repositories: { r: { type: 'file', path: '/nowhere' } },
    clusters: { shop: { host: 'h', connection, repositories: ['r'] } },
  });
  return { name: 'shop', config: config.clusters.shop } as ProtectedCluster;
}
