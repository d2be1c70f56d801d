import { describe, expect, test } from 'vitest';
import type { DumpRun } from '../../core/dump-run.ts';
import { rowOf } from '../../core/dump-run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { dumpOrder, dumpOutcome, type Exported } from '../../report/dump.ts';
import { renderDumps } from '../../report/render/dumps.ts';
import { renderReport } from '../../report/render.ts';
import { buildReport, failedBy, type Outcome, type StartedReport, startReport } from '../../report/report.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { dumpIdOf, dumpRecordOf } from '../dumps/support.ts';

/** The fields of a report by the names that the plan for dumps to disk and to OSS gave them, filled for dumps. */

const places = {
  disk: { name: 'disk', config: { type: 'file' }, location: '/srv/pgproof' },
  bucket: { name: 'bucket', config: { type: 'oss' }, location: 'oss://backups/pg' },
  other: { name: 'other', config: { type: 's3' }, location: 's3://backups' },
} as const;
type Place = keyof typeof places;

function clusterOf(...names: Place[]): ProtectedCluster {
  const repositories = names.map((name) => places[name]);
  return {
    name: 'shop',
    host: 'db-7',
    config: { connection: { port: 5433 }, dumps: {} },
    repository: { ...repositories[0], id: '0b8f1c0e-6d3a-4c56-9a57-0f6f1b7c2d11' },
    repositories,
    written: repositories,
  } as unknown as ProtectedCluster;
}

const record = dumpRecordOf(dumpIdOf(1)) as DumpRecord;
const subject = { kind: 'database', database: 'shop' } as const;
const exported: Exported = {
  file: '/srv/dumps/shop_20261121T020000Z_db-7.dump',
  globalsFile: '/srv/dumps/shop_20261121T020000Z_db-7_globals.sql',
  files: ['/srv/dumps/shop_20261121T020000Z_db-7.dump'],
  checksumSha256: record.dump.sha256,
  sizeBytes: 4,
};

function reportOf(cluster: ProtectedCluster, outcomeOf: (started: StartedReport) => Outcome) {
  const order = { operation: 'dump', workflow: null, requestedBy: 'ada', reason: null } as const;
  const started = startReport({ ...order, ...dumpOrder(cluster, subject) });
  return buildReport(cluster, started, outcomeOf(started));
}

const reported = (names: Place[], file: Exported | null = null, in_: Place[] = names) =>
  reportOf(clusterOf(...names), (started) =>
    dumpOutcome(clusterOf(...names), record, started, { repositories: in_, dropped: [] }, file),
  );

describe('the report of a dump', () => {
  test('says which database of which server, with which tool, and where it lies as a file', () => {
    expect(reported(['disk'])).toMatchObject({
      ...{ database: 'shop', host: 'db-7', port: 5433, mode: 'local', tool: 'pg_dump', status: 'SUCCESS' },
      errorMessage: null,
      local: {
        file: `/srv/pgproof/shop/dumps/${record.id}`,
        globalsFile: null,
        checksumSha256: record.dump.sha256,
        sizeBytes: 4,
      },
      remote: { urls: [] },
    });
  });

  test('names the file that was written beside the repository, and the bucket', () => {
    expect(reported(['bucket'], exported)).toMatchObject({
      mode: 'both',
      local: {
        file: exported.file,
        globalsFile: exported.globalsFile,
        checksumSha256: record.dump.sha256,
        sizeBytes: 4,
      },
      remote: { urls: [`oss://backups/pg/shop/dumps/${record.id}.json`] },
      result: { exported: exported.files },
    });
  });

  test.each([
    [['disk'], 'local'],
    [['bucket'], 'oss'],
    [['other'], 's3'],
    [['disk', 'bucket'], 'both'],
  ] as [Place[], string][])('in %j its mode is %s', (names, mode) => {
    expect(reported(names).mode).toBe(mode);
  });

  test('its mode is where it went, not where it was meant to go', () => {
    expect(reported(['disk', 'bucket'], null, ['disk'])).toMatchObject({ mode: 'local', remote: { urls: [] } });
  });

  test('says of a failed one the same, and why', () => {
    const failed = reportOf(clusterOf('disk', 'bucket'), () => failedBy(new Error('it broke')));
    expect(failed).toMatchObject({
      ...{ database: 'shop', mode: 'both', tool: 'pg_dump', status: 'FAILED', errorMessage: 'it broke [internal]' },
      local: { file: null, globalsFile: null, checksumSha256: null, sizeBytes: null },
      remote: { urls: [] },
    });
  });
});

test('pg_dumpall is the tool of globals and of a whole server, which are no one database', () => {
  const order = dumpOrder(clusterOf('disk'), { kind: 'globals', database: null });
  expect(order).toEqual({ tool: 'pg_dumpall', mode: 'local' });
});

test('a run of several shows a line each, findings by their database, and what is true of all of them once', () => {
  const report = reported(['disk']);
  const row = rowOf({ key: 'shop/reports/2026/11/x.json', repository: 'disk', report });
  const notes = ['taken from the primary, because no standby is fit for it'];
  const run: DumpRun = {
    operation: 'dump',
    cluster: 'shop',
    dumps: [
      { ...row, notes, dropped: [{ repository: 'far', code: 'store-unreachable', message: 'it is away' }] },
      { ...row, notes, database: 'crm\u001b[2J', findings: ['it is less than half as large as the last one'] },
    ],
  };
  const text = renderDumps(run, [['report', '/srv/x.json']]);
  expect(text).toContain('DUMP DONE: shop');
  expect(text.match(/taken from the primary/g)).toHaveLength(1);
  expect(text).toContain('shop: far: it is away [store-unreachable]; `pgproof copy` brings it there');
  expect(text).toContain('it is less than half as large');
  expect(text).not.toContain('\u001b');
  expect(text).toContain('NOT ENCRYPTED, NOT AUTHENTICATED');
  expect(renderReport(report)).toContain(`dump        ${record.id} (daily, custom, zstd:3)`);
});
