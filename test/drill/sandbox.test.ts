import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DrillResult } from '../../core/report.ts';
import { runDrill } from '../../drill/drill.ts';
import { currentEra } from '../../repository/eras.ts';
import { listHistories, listWal } from '../../repository/wal.ts';
import { alternate } from '../support/postgres.ts';
import type { Stage } from '../support/stage.ts';
import { openProtected, type ProtectedStage, quiet, withChecks } from './protected.ts';

/** Settings of a primary that would reach out, let in, or wait, if a copy of it took them over. */
const settings = (port: number, touched: string): Record<string, string> => ({
  listen_addresses: '*',
  primary_conninfo: `host=127.0.0.1 port=${port} user=postgres connect_timeout=2`,
  primary_slot_name: 'a_slot',
  synchronous_standby_names: '*',
  shared_preload_libraries: 'pg_stat_statements,no_such_library',
  archive_cleanup_command: `touch ${touched}`,
  recovery_end_command: `touch ${touched}`,
  max_connections: '150',
  shared_buffers: '1TB',
  ssl: 'on',
  wal_receiver_timeout: '1s',
});

/** The questions are asked in the sandbox itself; the last ones after it was promoted, which no drill does. */
const asked = {
  'listens-nowhere': `SELECT current_setting('listen_addresses') = ''`,
  'archives-nothing': `SELECT current_setting('archive_mode') = 'off' AND current_setting('archive_command') IN ('', '(disabled)')`,
  'connects-to-no-primary': `SELECT current_setting('primary_conninfo') = '' AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver)`,
  'waits-for-no-standby': `SELECT current_setting('synchronous_standby_names') = ''`,
  'loads-nothing': `SELECT current_setting('shared_preload_libraries') = ''`,
  'runs-no-command': `SELECT current_setting('archive_cleanup_command') = '' AND current_setting('recovery_end_command') = ''`,
  'subscribes-to-nothing': `SELECT current_setting('max_logical_replication_workers') = '0'`,
  'reads-no-file-of-the-primary': `SELECT bool_and(file LIKE '%/drills/%') FROM (VALUES (current_setting('config_file')), (current_setting('hba_file')), (current_setting('ident_file'))) AS files(file)`,
  'has-a-private-socket': `SELECT current_setting('unix_socket_directories') LIKE '%/drills/%'`,
  'is-paused': 'SELECT pg_is_in_recovery()',
  'promotes-when-told': 'SELECT pg_promote(true, 60)',
  'is-promoted': 'SELECT NOT pg_is_in_recovery()',
  'has-the-subscription': `SELECT subenabled FROM pg_subscription`,
  'applies-nothing': `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%')`,
  'has-no-archiver': `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'archiver')`,
};

describe.each(alternate(0))('scenario 33: the sandbox of a drill, on PostgreSQL %s', (major) => {
  let stage: ProtectedStage;
  let outside: Outside;
  let touched: string;
  let result: DrillResult;

  beforeAll(async () => {
    outside = await listenOutside();
    stage = await openProtected(major, { prepare: (opened) => makeDangerous(opened, outside.port) });
    touched = touchedFile(stage);
    result = await runDrill(withChecks(stage.cluster, asked), { kind: 'probe' }, quiet);
  });

  afterAll(async () => {
    await stage?.dispose();
    await outside?.close();
  });

  test.each(Object.keys(asked))('it %s', (name) => {
    expect(result.checks.find((check) => check.name === name)).toMatchObject({ passed: true });
  });

  test('nothing came to where the primary’s settings and its subscription point', () => {
    expect(outside.connections()).toBe(0);
    expect(existsSync(touched)).toBe(false);
  });

  test('nothing of it got into the archive: no history file, no segment of another timeline', async () => {
    const { repository, name, paths } = stage.cluster;
    const era = (await currentEra(repository, name))!.era;
    expect([...(await listHistories(repository, stage.cluster.keys, name, era)).keys()]).toEqual([]);
    const segments = [...(await listWal(repository, name, era)).keys()];
    expect(segments.filter((segment) => !segment.startsWith('00000001'))).toEqual([]);
    expect(existsSync(join(paths.spool, 'foreign', '00000002.history'))).toBe(false);
  });

  test('the primary is as it was: its files, its configuration, its settings', async () => {
    expect(readFileSync(join(stage.server.dataDir, 'postgresql.auto.conf'), 'utf8')).toContain('no_such_library');
    expect(await stage.server.sql('SELECT pg_is_in_recovery() AS recovery')).toEqual([{ recovery: false }]);
  });
});

/** Debian's layout, too: no configuration file lies in the data directory when the backup is taken. */
async function makeDangerous({ server, folder }: Stage, port: number): Promise<void> {
  await server.sql(
    `CREATE SUBSCRIPTION shop_copy CONNECTION 'host=127.0.0.1 port=${port} dbname=shop user=x connect_timeout=2'
       PUBLICATION p WITH (connect = false, slot_name = 'shop_copy', create_slot = false, enabled = false)`,
  );
  // The primary itself must not knock at the door that tells on the sandbox.
  await server.sql('ALTER SYSTEM SET max_logical_replication_workers = 0');
  await server.stop();
  await server.start();
  await server.sql('ALTER SYSTEM RESET max_logical_replication_workers');
  await server.sql('UPDATE pg_subscription SET subenabled = true');
  const lines = Object.entries(settings(port, touchedFile({ folder })));
  const file = join(server.dataDir, 'postgresql.auto.conf');
  const text = readFileSync(file, 'utf8') + lines.map(([name, value]) => `${name} = '${value}'\n`).join('');
  writeFileSync(file, text);
  for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']) {
    renameSync(join(server.dataDir, name), join(folder, name));
  }
}

const touchedFile = ({ folder }: { folder: string }): string => join(folder, 'touched');

type Outside = { port: number; connections(): number; close(): Promise<void> };

/** Somebody else's server: it only counts who comes. */
async function listenOutside(): Promise<Outside> {
  let count = 0;
  const server: Server = createServer((socket) => {
    count += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
