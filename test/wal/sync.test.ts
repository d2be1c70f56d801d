import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compareLsn } from '../../core/lsn.ts';
import type { WalSyncResult } from '../../core/wal-sync.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { renderReport } from '../../report/render.ts';
import { initRepository } from '../../repository/repository.ts';
import { faulty } from '../../storage/fault.ts';
import { readFrontier } from '../../wal/frontier.ts';
import { beat } from '../../wal/heartbeat.ts';
import { reportedWalSync } from '../../wal/reported-sync.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { switchWal } from '../../wal/switch.ts';
import { isBroken, syncWal } from '../../wal/sync.ts';
import { alternate } from '../support/postgres.ts';
import { listReports } from '../support/reports.ts';
import { withRepositories } from '../support/repositories.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { signal } from './support.ts';

const run = { signal, progress: () => undefined };
const nobody = { reason: null, requestedBy: null };

describe.each(alternate(1))('wal sync, on PostgreSQL %s', (major) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ major }); // archive_timeout is off, as PostgreSQL has it
  });
  afterAll(() => stage?.dispose());
  beforeEach(() => stage.letShip(true));

  const promising = (rpo: number): ProtectedCluster => ({
    ...stage.cluster,
    config: { ...stage.cluster.config, objectives: { rpo } },
  });
  const isArchived = async (lsn: Parameters<typeof compareLsn>[0]) =>
    compareLsn((await readFrontier(stage.cluster)).lsn, lsn) >= 0;

  test('scenario 24: the newest commit of an idle server is in the repository after a run, though PostgreSQL ends no segment', async () => {
    const { lsn } = await beat(stage.cluster);
    expect(await isArchived(lsn)).toBe(false);
    const result = await syncWal(promising(300), run);
    expect(result).toMatchObject({ objective: 'kept', switched: expect.any(String), notes: [] });
    expect(result.repositories).toMatchObject([{ repository: 'local', required: true, reached: true, problem: null }]);
    expect(await isArchived(lsn)).toBe(true);
  });

  test('a segment is not ended while the newest archived commit is young enough', async () => {
    await beat(stage.cluster);
    const result = await syncWal(promising(300), run);
    expect(result).toMatchObject({ objective: 'kept', switched: null });
    expect(result.repositories[0]?.behindSeconds.after).toBeLessThan(150);
    expect((await syncWal(promising(0), run)).switched).not.toBeNull(); // half of nothing is over at once
  });

  test('finished segments are waited for, no other one is ended meanwhile, and when they are there, the open one is', async () => {
    await stage.letShip(false);
    await beat(stage.cluster);
    await switchWal(stage.cluster);
    const newest = await beat(stage.cluster);
    const late = await syncWal(promising(0), run, { patienceSeconds: 0 });
    expect(late).toMatchObject({ objective: 'broken', switched: null });
    expect(late.repositories).toMatchObject([{ reached: false, problem: { code: 'segment-not-archived' } }]);
    await stage.letShip(true);
    const mended = await syncWal(promising(0), run);
    expect(mended).toMatchObject({ switched: expect.any(String), repositories: [{ reached: true, problem: null }] });
    expect(await isArchived(newest.lsn)).toBe(true);
  });

  test('a broken objective is an error that names its report, and a report is filed only when the answer changes', async () => {
    const attempt = async (cluster: ProtectedCluster) =>
      reportedWalSync(cluster, nobody, run, null, { patienceSeconds: 0 }).catch((error: unknown) => error);
    const filed = async () =>
      (await listReports(stage.cluster.repository, 'shop')).filter(({ operation }) => operation === 'walSync');

    await stage.letShip(false);
    await beat(stage.cluster);
    await switchWal(stage.cluster);
    const first = await attempt(promising(0));
    expect(first).toMatchObject({ code: 'objective-broken', exitCode: 3, permanent: true });
    const [report] = await filed();
    expect((first as { facts: { report: string } }).facts.report).toContain(report?.id);
    expect(report).toMatchObject({ status: 'FAILED', mode: 'archive', result: { objective: 'broken' } });
    expect(renderReport(report as NonNullable<typeof report>)).toContain('HAS IT NOT');
    const again = await attempt(promising(0));
    expect((again as { facts: { report: string } }).facts.report).toContain(report?.id);
    expect(await filed()).toHaveLength(1);

    await stage.letShip(true);
    const kept = await reportedWalSync(promising(300), nobody, run, null);
    expect(kept).toMatchObject({ key: expect.any(String), report: { status: 'SUCCESS' } });
    expect(await reportedWalSync(promising(300), nobody, run, null)).toMatchObject({
      key: null,
      report: { status: 'SUCCESS', result: { objective: 'kept' } },
    });
    expect(await filed()).toHaveLength(2);
  });

  test('while one repository holds WAL up, the other one is judged by what it has, and the one in the way is named', async () => {
    const folder = join(tempDir('far'), 'repository');
    const made = await initRepository('far', { type: 'file', path: folder });
    const { location } = stage.cluster.repository;
    cpSync(join(location, 'shop'), join(folder, 'shop'), { recursive: true });
    const far = { ...made, store: faulty(made.store, [{ on: 'create', fault: { kind: 'fail' } }]) };
    const config = { ...promising(1).config, repositories: ['local', 'far'], write: 'all' as const };
    const cluster = { ...stage.cluster, config, ...withRepositories([stage.cluster.repository, far]) };
    await beat(cluster);
    const { lsn } = await switchWal(cluster);
    await until(async () => {
      await shipOnce(cluster, { signal });
      return isArchived(lsn);
    });
    const told: unknown = await reportedWalSync(cluster, nobody, run, null, { patienceSeconds: 2 }).catch((e) => e);
    expect(told).toMatchObject({
      code: 'objective-broken',
      message: expect.stringMatching(/of work would be lost .*\(repository 'far'; .*the shipper last said: \S/),
      facts: { repository: 'far', why: 'segment-not-archived' },
    });
    const reports = (await listReports(stage.cluster.repository, 'shop')).map(({ result }) => result as WalSyncResult);
    const local = reports.flatMap(({ repositories }) => (repositories.length === 2 ? repositories.slice(0, 1) : []));
    expect(local).toMatchObject([{ repository: 'local', reached: true, problem: null }]);
    expect(local[0]?.behindSeconds.after).toBe(local[0]?.behindSeconds.before);
  });

  test('a server that cannot be asked is an error with a report, not a kept objective', async () => {
    const connection = { ...stage.cluster.config.connection, port: 1 };
    const cluster = { ...stage.cluster, config: { ...stage.cluster.config, connection } };
    await expect(reportedWalSync(cluster, nobody, run, null)).rejects.toMatchObject({
      code: 'server-unreachable',
      facts: { report: expect.stringContaining('wal-sync') },
    });
  });
});

test('where nobody knows how much would be lost, WAL that did not come breaks the objective, but not of a repository that is not required', () => {
  const one = (more: Partial<WalSyncResult['repositories'][number]>) => ({
    ...{ repository: 'local', required: true, frontier: '0/1', reached: false, problem: null },
    behindSeconds: { before: null, after: null },
    ...more,
  });
  expect(isBroken(one({}), 300)).toBe(true);
  expect(isBroken(one({ reached: true }), 300)).toBe(false);
  expect(isBroken(one({ required: false }), 300)).toBe(false);
  expect(isBroken(one({ behindSeconds: { before: null, after: 299 } }), 300)).toBe(false);
});
