import { expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { report as reportSchema } from '../../core/report.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { buildReport, failedBy, type ReportOrder, startReport } from '../../report/report.ts';

const cluster = {
  name: 'shop',
  host: 'db-7',
  config: { connection: { port: 5433 } },
  repository: { id: '0b1e0f7a-7f0c-4a53-9d3e-2f3d1c1b0a99', location: '/backups' },
} as ProtectedCluster;

const workflow = { workflowId: 'backup-shop-1', runId: 'aaaa' };
const order: ReportOrder = { operation: 'backup', workflow, requestedBy: 'ann', reason: 'before the upgrade' };
const done = { status: 'SUCCESS', result: { id: 'x' } } as const;
const uuidOf = (changed: Partial<ReportOrder> = {}, of = cluster) =>
  buildReport(of, startReport({ ...order, ...changed }), done).uuid;

test('two attempts of one run have one uuid and two ids', () => {
  const [first, second] = [startReport(order), startReport(order)];
  expect(first.id).not.toBe(second.id);
  expect(buildReport(cluster, first, done).uuid).toBe(buildReport(cluster, second, done).uuid);
});

test('another run, another cluster and another repository have another uuid', () => {
  const other = { ...cluster, name: 'shop2' };
  const elsewhere = { ...cluster, repository: { ...cluster.repository, id: '1b1e0f7a-7f0c-4a53-9d3e-2f3d1c1b0a99' } };
  const uuids = [
    uuidOf(),
    uuidOf({ workflow: { ...workflow, runId: 'bbbb' } }),
    uuidOf({ workflow: { workflowId: 'backup-shop-1-aaaa', runId: '' } }),
    uuidOf({}, other),
    uuidOf({}, elsewhere),
  ];
  expect(new Set(uuids).size).toBe(uuids.length);
});

test('offline, each attempt is a run of its own', () => {
  const started = startReport({ ...order, workflow: null });
  const built = buildReport(cluster, started, done);
  expect(built).toMatchObject({ workflowId: null, runId: null });
  expect(buildReport(cluster, started, done).uuid).toBe(built.uuid);
  expect(uuidOf({ workflow: null })).not.toBe(built.uuid);
});

test('the id says when and what, and the report has every field of the contract', () => {
  const started = startReport({ ...order, startedAt: '2026-11-20T14:05:01.000Z' });
  expect(started.id).toMatch(/^\d{8}T\d{6}Z-backup-[0-9a-f]{8}$/);
  const built = buildReport(cluster, started, { ...done, sizeBytes: 42, keys: ['shop/a.json'] });
  expect(reportSchema.parse(built)).toEqual(built);
  expect(built).toMatchObject({
    cluster: 'shop',
    host: 'db-7',
    port: 5433,
    startedAt: '2026-11-20T14:05:01.000Z',
    status: 'SUCCESS',
    errorMessage: null,
    local: { sizeBytes: 42 },
    remote: { urls: ['/backups/shop/a.json'] },
    requestedBy: 'ann',
    reason: 'before the upgrade',
  });
});

test('a clock that was set back makes no negative duration', () => {
  const started = startReport({ ...order, startedAt: '2999-01-01T00:00:00.000Z' });
  expect(buildReport(cluster, started, done).durationSeconds).toBe(0);
});

test('a failure keeps its code, facts and hint; an interruption is CANCELLED', () => {
  const error = new PgproofError('no-space', 'the repository is full', { facts: { freeBytes: 0 }, hint: 'Make room.' });
  const failed = buildReport(cluster, startReport(order), failedBy(error));
  expect(failed).toMatchObject({
    status: 'FAILED',
    errorMessage: 'the repository is full [no-space]',
    result: { error: { code: 'no-space', facts: { freeBytes: 0 }, hint: 'Make room.' } },
  });
  const cancelled = buildReport(cluster, startReport(order), failedBy(new PgproofError('cancelled', 'interrupted')));
  expect(cancelled.status).toBe('CANCELLED');
});

test('something thrown that nobody knows is reported as internal, without its stack', () => {
  const failed = buildReport(cluster, startReport(order), failedBy(new TypeError('x is not a function')));
  expect(failed).toMatchObject({ status: 'FAILED', result: { error: { code: 'internal' } } });
  expect(JSON.stringify(failed)).not.toContain('report.test.ts');
});

test('scenario 42: a secret in an error, a reason or a result is not kept', () => {
  const error = new PgproofError('tool-failed', 'no connection to postgres://shop:hunter2@db-7/shop', {
    facts: { stderr: 'password=hunter2' as never },
  });
  const started = startReport({ ...order, reason: 'PGPASSWORD=hunter2' });
  expect(JSON.stringify(buildReport(cluster, started, failedBy(error)))).not.toContain('hunter2');
});
