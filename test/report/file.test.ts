import { chmodSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { reported } from '../../report/file.ts';
import type { ReportOrder } from '../../report/report.ts';
import { initRepository } from '../../repository/repository.ts';
import { listReports } from '../support/reports.ts';
import { withRepositories } from '../support/repositories.ts';
import { tempDir } from '../support/temp.ts';

const order: ReportOrder = { operation: 'restore', workflow: null, requestedBy: null, reason: null };

let cluster: ProtectedCluster;

beforeEach(async () => {
  const repository = await initRepository('local', { type: 'file', path: join(tempDir(), 'repository') });
  const config = { connection: { port: 5432 } };
  cluster = { name: 'shop', host: 'db-7', config, ...withRepositories([repository]) } as ProtectedCluster;
});

test('what went well is filed under the id that the work was told', async () => {
  let told = '';
  const { key, report } = await reported(cluster, order, async ({ id }) => {
    told = id;
    return { status: 'SUCCESS', result: { planId: 'p' } };
  });
  expect(key).toBe(`shop/reports/${told.slice(0, 4)}/${told.slice(4, 6)}/${told}.json`);
  expect(await listReports(cluster.repository, 'shop')).toEqual([report]);
});

test('a failure is filed before its error goes on, which then names the report', async () => {
  const error = new PgproofError('no-space', 'no room', { facts: { freeBytes: 1 }, hint: 'Make room.' });
  const failed = reported(cluster, order, () => Promise.reject(error));
  await expect(failed).rejects.toMatchObject({ code: 'no-space', message: 'no room', hint: 'Make room.' });
  const [report] = await listReports(cluster.repository, 'shop');
  expect(report).toMatchObject({ status: 'FAILED', errorMessage: 'no room [no-space]' });
  await expect(failed).rejects.toMatchObject({
    facts: { freeBytes: 1, report: expect.stringContaining(report?.id ?? 'none') },
  });
});

test('an interruption is filed as CANCELLED', async () => {
  const stopped = reported(cluster, order, () => Promise.reject(new PgproofError('cancelled', 'interrupted')));
  await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
  expect(await listReports(cluster.repository, 'shop')).toMatchObject([{ status: 'CANCELLED' }]);
});

test('when the report cannot be written either, the first error stays the error, and says so', async () => {
  const { location } = cluster.repository;
  const failed = reported(cluster, order, async () => {
    renameSync(location, `${location}.away`);
    throw new PgproofError('recovery-failed', 'recovery failed');
  });
  await expect(failed).rejects.toMatchObject({
    code: 'recovery-failed',
    facts: { report: null, reportError: expect.stringMatching(/.+/) },
  });
});

test('work that went well, but whose report cannot be written, is an error of the store', async () => {
  const { location } = cluster.repository;
  const done = reported(cluster, order, async () => {
    renameSync(location, `${location}.away`);
    return { status: 'SUCCESS', result: {} };
  });
  await expect(done).rejects.toBeInstanceOf(PgproofError);
  chmodSync(`${location}.away`, 0o700);
});

test('while the nearest repository is away, the report is filed in the next', async () => {
  const next = await initRepository('next', { type: 'file', path: join(tempDir(), 'next') });
  const { location } = cluster.repository;
  renameSync(location, `${location}.away`);
  const { report } = await reported(
    { ...cluster, ...withRepositories([cluster.repository, next]) },
    order,
    async () => ({
      status: 'SUCCESS',
      result: {},
    }),
  );
  expect(await listReports(next, 'shop')).toEqual([report]);
  renameSync(`${location}.away`, location);
});
