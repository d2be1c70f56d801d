import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareLsn, type Lsn, parseLsn } from '../../core/lsn.ts';
import { isoOfMicros } from '../../core/micros.ts';
import { type SegmentName, segmentStart } from '../../core/segment.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { noKeys } from '../../repository/keys.ts';
import { Nearest } from '../../repository/nearest.ts';
import { initRepository } from '../../repository/repository.ts';
import { putSegment } from '../../repository/wal.ts';
import type { WalRecord } from '../../wal/records.ts';
import { type ArchivedWal, firstRecordFrom, lastRecordStart, scanWal } from '../../wal/scan.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { keptTempDir } from '../support/temp.ts';

const mib = 1024 * 1024;
const signal = new AbortController().signal;
const era = '0001-pg18-7000000000000000001';

describe.each(majors)('archived WAL of PostgreSQL %s', (major) => {
  let server: Cluster;
  let folder: string;
  let wal: ArchivedWal;
  const xids: Record<string, string> = {};

  beforeAll(async () => {
    folder = keptTempDir('scan');
    mkdirSync(join(folder, 'ts'));
    const settings = {
      wal_keep_size: '512MB',
      max_prepared_transactions: 2,
      autovacuum: 'off',
      timezone: 'Asia/Shanghai',
      log_timezone: 'Asia/Shanghai',
    };
    server = await startCluster({ major, initdbArgs: ['--wal-segsize=1'], settings });
    const { sql } = server;
    await sql('CREATE TABLE orders (n int)');
    await sql(`SELECT pg_create_restore_point('it''s, "odd" ')`);
    xids.prepared = await xidOf("BEGIN; INSERT INTO orders VALUES (1); PREPARE TRANSACTION 'two phases'");
    // Longer than a segment, so that there are segments in which no record begins.
    for (let times = 0; times < 3; times += 1)
      await sql("SELECT pg_logical_emit_message(false, 'long', repeat('x', 3500000))");
    await sql("COMMIT PREPARED 'two phases'");
    await sql(`CREATE TABLESPACE later LOCATION '${folder}/ts'`);
    await sql('DROP TABLESPACE later');
    await sql("SELECT pg_create_restore_point('the end')");
    await sql("SELECT pg_logical_emit_message(false, 'last', repeat('x', 3500000))");
    await sql('SELECT pg_switch_wal()');
    wal = await archive(server, folder);
  });
  afterAll(async () => {
    await server?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = () => segmentStart(wal.segments[0]?.name as SegmentName, mib);
  const recordsIn = async (options: { windowBytes?: number; overlapBytes?: number } = {}): Promise<WalRecord[]> => {
    const found: WalRecord[] = [];
    for await (const record of scanWal(wal, start(), { signal, ...options })) found.push(record);
    return found;
  };

  test('tells of restore points, tablespaces, and the ends of transactions', async () => {
    const found = await recordsIn();
    expect(
      found.filter(({ kind }) => kind === 'restore-point').map((record) => (record as { name: string }).name),
    ).toEqual([`it's, "odd" `, 'the end']);
    expect(found.filter(({ kind }) => kind === 'tablespace')).toMatchObject([{ path: join(folder, 'ts') }]);
    const ends = found.flatMap((record) => (record.kind === 'end' ? [record] : []));
    expect(ends.filter(({ xid }) => xid === xids.prepared)).toMatchObject([{ outcome: 'commit' }]);
    for (const { at } of ends) expect(Math.abs(Date.now() - Date.parse(isoOfMicros(at)))).toBeLessThan(3_600_000);
  });

  test('is read in windows with the same result, also where records are longer than a window', async () => {
    const small = await recordsIn({ windowBytes: mib, overlapBytes: 5 * mib });
    expect(small).toEqual(await recordsIn());
    expect(readdirSync(wal.cluster.paths.fetch)).toEqual([]);
  });

  test('the last record is found though it began segments before the last one', async () => {
    const last = (await lastRecordStart(wal, start(), signal)) as Lsn;
    const [first] = wal.segments.slice(-1);
    const behindLong = { ...wal, segments: wal.segments.slice(0, -1) };
    const earlier = (await lastRecordStart(behindLong, start(), signal)) as Lsn;
    expect(first).toBeDefined();
    expect(compareLsn(earlier, last)).toBeLessThan(0);
    expect(await firstRecordFrom(wal, last, signal)).toBe(last);
  });

  test('no record begins behind the last one, and the first one behind a position is found over segments without a beginning', async () => {
    const last = (await lastRecordStart(wal, start(), signal)) as Lsn;
    expect(await firstRecordFrom(wal, next(last), signal)).toBeNull();
    const found = await firstRecordFrom(wal, next(start()), signal);
    expect(found === null ? 0 : compareLsn(found, next(start()))).toBeGreaterThan(0);
  });

  async function xidOf(statements: string): Promise<string> {
    const [begin, write, prepare] = statements.split('; ') as [string, string, string];
    const { Client } = (await import('pg')).default;
    const client = new Client({ host: server.socketDir, port: server.port, user: server.user, database: 'postgres' });
    await client.connect();
    await client.query(begin);
    await client.query(write);
    const { rows } = await client.query('SELECT pg_current_xact_id()::text AS xid');
    await client.query(prepare);
    await client.end();
    return rows[0].xid;
  }
});

const next = (lsn: Lsn): Lsn =>
  parseLsn(`${lsn.split('/')[0]}/${(Number.parseInt(lsn.split('/')[1] as string, 16) + 1).toString(16)}`);

/** All finished segments, in a repository without a key. */
async function archive(server: Cluster, folder: string): Promise<ArchivedWal> {
  const repository = await initRepository('local', { type: 'file', path: join(folder, 'repository') });
  const cluster = {
    name: 'shop',
    repository,
    keys: noKeys,
    walKeys: noKeys,
    paths: { fetch: join(folder, 'fetch') },
  } as unknown as ProtectedCluster;
  const [{ current }] = (await server.sql<{ current: string }>(
    'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS current',
  )) as [{ current: string }];
  const names = readdirSync(join(server.dataDir, 'pg_wal')).filter(
    (name) => /^[0-9A-F]{24}$/.test(name) && name < current,
  ) as SegmentName[];
  const segments = [];
  for (const name of names.sort()) {
    const plain = readFileSync(join(server.dataDir, 'pg_wal', name));
    segments.push({ name, tag: (await putSegment(repository, noKeys, 'shop', era, name, plain)).tag });
  }
  const tools = { bin: server.bin, major: Number(server.major) };
  return { cluster, copies: new Nearest([repository]), tools, era, segmentBytes: mib, segments };
}
