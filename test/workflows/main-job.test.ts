import { existsSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { followRun, type RunState } from '../../client/follow.ts';
import type { PgproofError } from '../../core/errors.ts';
import type { Report } from '../../core/report.ts';
import { parseTarget } from '../../core/target.ts';
import { withClusterLock } from '../../postgres/lock.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { planRestore } from '../../restore/plan.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate } from '../support/postgres.ts';
import { listReports } from '../support/reports.ts';
import { startWorker, until, type WorkerProcess } from '../support/stage.ts';

vi.setConfig({ testTimeout: 180_000 }); // several processes start and end in each test

/** Backup and drill as a person starts them, on a real server, a real Temporal and a worker process. */
describe.each(alternate(1))('with PostgreSQL %s', (major) => {
  let fleet: Fleet;
  let worker: WorkerProcess;

  beforeAll(async () => {
    fleet = await openFleet({ major, offsite: true });
    worker = await startWorker(fleet.stage);
  });
  afterAll(async () => {
    await worker?.stop();
    await fleet?.dispose();
  });

  const backups = () => {
    const { repository, keys, name } = fleet.stage.cluster;
    return listBackups(repository, keys, name);
  };
  const reports = (): Promise<Report[]> => listReports(fleet.stage.cluster.repository, 'shop');
  const attributesOf = async (workflowId: string) =>
    (await fleet.temporal.client.workflow.getHandle(workflowId).describe()).searchAttributes;

  test('a backup ends whole, listed and reported, and is found by its id', async () => {
    const run = await fleet.start('backup', { reason: 'before the upgrade', requestedBy: 'ada' });
    const { key, report } = await fleet.finish(run);
    expect(report).toMatchObject({
      status: 'SUCCESS',
      operation: 'backup',
      reason: 'before the upgrade',
      requestedBy: 'ada',
    });
    expect(report).toMatchObject({ workflowId: run.workflowId, runId: run.runId });
    expect(await reports()).toContainEqual(report);
    expect(key).toContain('shop/reports/');
    const [backup] = await backups();
    expect(backup).toMatchObject({ state: 'whole', id: report.result.id });
    expect(await attributesOf(run.workflowId)).toMatchObject({ PgBackupId: [report.result.id] });
  });

  test('a copy brings the other repository up to date; one to nowhere fails with its report', async () => {
    const { report } = await fleet.finish(await fleet.start('copy'));
    expect(report).toMatchObject({
      operation: 'copy',
      status: 'SUCCESS',
      result: { from: 'local', targets: [{ to: 'offsite', outcome: 'complete', lag: { backups: 0 } }] },
    });
    const { repositories, keys, name } = fleet.stage.cluster;
    const offsite = repositories[1] as (typeof repositories)[number];
    expect((await listBackups(offsite, keys, name)).map(({ id }) => id)).toEqual((await backups()).map(({ id }) => id));
    expect((await listReports(offsite, name)).map(({ id }) => id)).toContain(report.id);

    const failed = fleet.finish(await fleet.start('copy', { to: 'elsewhere' }));
    const error = (await failed.catch((thrown: unknown) => thrown)) as PgproofError;
    expect(error).toMatchObject({ code: 'repository-unknown' });
    const said = (await reports()).find(({ id }) => `${error.facts.report}`.includes(id));
    expect(said).toMatchObject({ status: 'FAILED', operation: 'copy' });
  });

  test('a verify looks at both repositories; damage is its answer, and the next one heals it from the copy', async () => {
    const whole = await fleet.finish(await fleet.start('verify', { share: 50 }));
    expect(whole.report).toMatchObject({ operation: 'verify', status: 'SUCCESS', result: { verdict: 'passed' } });
    const { repository } = fleet.stage.cluster;
    const [backup] = await backups();
    if (backup?.state !== 'whole') throw new Error('the backup is damaged');
    const [part] = backup.record.tablespaces[0]?.parts ?? [];
    truncateSync(join(repository.location, part?.key as string), 100);
    const run = await fleet.start('verify', { repository: 'local' });
    expect((await fleet.finish(run)).report).toMatchObject({
      status: 'FAILED',
      result: { verdict: 'failed', repositories: [{ findings: [{ object: part?.key, kind: 'damaged' }] }] },
    });
    expect(await attributesOf(run.workflowId)).toMatchObject({ PgVerdict: ['failed'], PgOperation: ['verify'] });
    const healed = await fleet.finish(await fleet.start('verify', { repository: 'local', repair: true }));
    expect(healed.report).toMatchObject({ status: 'SUCCESS', result: { verdict: 'passed' } });
  });

  test('a drill that somebody types into the UI with nothing but the cluster ends with a verdict', async () => {
    const { report } = await fleet.finish(await fleet.start('drill'));
    expect(report.result, JSON.stringify(report.result)).toMatchObject({ verdict: 'passed', kind: 'probe' });
    expect(await attributesOf(report.workflowId as string)).toMatchObject({ PgVerdict: ['passed'] });
  });

  test('a restore carries out the plan that was frozen on the host, and nothing else', async () => {
    const { cluster, folder } = fleet.stage;
    const into = join(folder, 'restored');
    const run = { signal: new AbortController().signal, progress: () => undefined };
    const plan = await planRestore(cluster, { target: parseTarget('latest'), into }, run);
    const { report } = await fleet.finish(await fleet.start('restore', { plan: plan.id }));
    expect(report).toMatchObject({
      status: 'SUCCESS',
      operation: 'restore',
      result: { planId: plan.id, dataDir: into },
    });
    expect(existsSync(join(into, 'PG_VERSION'))).toBe(true);

    const unknown = fleet.finish(await fleet.start('restore', { plan: '20200101T000000Z-restore-00000000' }));
    await expect(unknown).rejects.toMatchObject({ code: 'plan-missing' });
  });

  test('a busy cluster makes a backup fail at once with noWait, and names the holder', async () => {
    await holdingTheLock(async () => {
      const failed = fleet.finish(await fleet.start('backup', { noWait: true }));
      const error = (await failed.catch((thrown: unknown) => thrown)) as PgproofError;
      expect(error).toMatchObject({ code: 'cluster-busy' });
      expect(error.facts.holder).toContain('pgproof backup by-hand on db-7');
      const report = (await reports()).find(({ id }) => `${error.facts.report}`.includes(id));
      expect(report).toMatchObject({ status: 'FAILED', operation: 'backup' });
    });
  });

  test('a busy cluster is waited for, naming its holder, and the waiting leaves no report', async () => {
    const before = (await reports()).length;
    const run = await holdingTheLock(async () => {
      const started = await fleet.start('backup');
      const seen = new AbortController();
      const onState = ({ step }: RunState): void => {
        if (step.includes('pgproof backup by-hand on db-7')) seen.abort();
      };
      await followRun(fleet.temporal, started, { fleet: 'main', signal: seen.signal, onState });
      return started;
    });
    expect((await fleet.finish(run)).report.status).toBe('SUCCESS');
    expect((await reports()).length).toBe(before + 1);
  });

  test('a cancelled backup says so in its report and is not listed', async () => {
    const before = (await backups()).length;
    await fleet.stage.letShip(false);
    try {
      const run = await fleet.start('backup');
      const handle = fleet.temporal.client.workflow.getHandle(run.workflowId);
      await until(async () => (await handle.describe()).raw.pendingActivities?.[0]?.activityType?.name === 'awaitWal');
      await fleet.cancel(run);
      await expect(fleet.finish(run)).rejects.toMatchObject({ code: 'cancelled' });
      const report = (await reports()).find(({ workflowId }) => workflowId === run.workflowId);
      expect(report).toMatchObject({ status: 'CANCELLED', runId: run.runId });
    } finally {
      await fleet.stage.letShip(true);
    }
    expect((await backups()).length).toBe(before);
  });

  test('each failed attempt of a step leaves a report of its own, all of one run', async () => {
    await fleet.stage.server.stop();
    try {
      const run = await fleet.start('backup');
      const { client } = fleet.temporal;
      await until(async () => {
        const { raw } = await client.workflow.getHandle(run.workflowId).describe();
        return (raw.pendingActivities?.[0]?.attempt ?? 0) > 2;
      });
      expect((await reports()).filter(({ workflowId }) => workflowId === run.workflowId).length).toBeGreaterThan(1);
      await fleet.cancel(run);
      await fleet.finish(run).catch(() => undefined);
      const mine = (await reports()).filter(({ workflowId }) => workflowId === run.workflowId);
      expect(new Set(mine.map(({ uuid }) => uuid)).size).toBe(1);
      expect(mine.every(({ status }) => status !== 'SUCCESS')).toBe(true);
      expect(mine.some(({ errorMessage }) => errorMessage?.includes('server-unreachable'))).toBe(true);
    } finally {
      await fleet.stage.server.start();
    }
  });

  function holdingTheLock<Result>(use: () => Promise<Result>): Promise<Result> {
    return withClusterLock(fleet.stage.cluster, { operation: 'backup', id: 'by-hand' }, use);
  }
});
