import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { awaitWal, commit, copyBase, placesOf, takeBackup } from '../../backup/backup.ts';
import { copyCluster } from '../../copy/cluster.ts';
import { PgproofError } from '../../core/errors.ts';
import { Copies } from '../../parts/copies.ts';
import { teeStore } from '../../parts/tee.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { backupOutcome } from '../../report/backup.ts';
import { finishReport } from '../../report/file.ts';
import { renderReport } from '../../report/render.ts';
import { startReport } from '../../report/report.ts';
import { initRepository } from '../../repository/repository.ts';
import { readBytes } from '../../storage/bytes.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { alternate } from '../support/postgres.ts';
import { withRepositories } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { type Two, withFar } from '../support/two.ts';
import { asNew, assertRestorable, idsWithParts, listed } from './support.ts';

let stage: Stage;

const at = (cluster: ProtectedCluster): Stage => ({ ...stage, cluster });
const fail = (key: RegExp): FaultPlan[number] => ({ on: 'create', key, fault: { kind: 'fail' } });

describe.each(alternate(1))('a backup to two repositories, PostgreSQL %s', (major) => {
  let two: Two;
  const open = async (required?: string[]) => {
    two = await withFar(stage, required === undefined ? {} : { required });
  };
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage?.dispose());
  beforeEach(() => asNew(stage));

  test('is in both, byte for byte the same, and each restores by itself', async () => {
    await open();
    const record = await takeBackup(two.cluster, quietRun());
    expect(await listed(at(two.nearly))).toEqual([record.id]);
    expect(await listed(at(two.farther))).toEqual([record.id]);
    for (const { key } of record.tablespaces.flatMap(({ parts }) => parts)) {
      const [here, there] = await Promise.all(
        [two.near, two.far].map(({ store }) => readBytes(store, key, { maxBytes: 1024 ** 3 })),
      );
      expect(here?.equals(there as Buffer)).toBe(true);
    }
    await assertRestorable(at(two.farther), record);
    expect(await placesOf(two.cluster, record)).toEqual({ repositories: ['local', 'far'], dropped: [] });
  });

  test('fails when a required one fails in the middle, and leaves nothing in either', async () => {
    await open();
    two.faults.far.push(fail(/pgdata/));
    await expect(takeBackup(two.cluster, quietRun())).rejects.toMatchObject({ code: 'store-unreachable' });
    for (const cluster of [two.nearly, two.farther]) {
      expect(await listed(at(cluster))).toEqual([]);
      expect(await idsWithParts(at(cluster))).toEqual([]);
    }
  });

  test('goes on without one that is not required, says so, and the next copy makes it whole there', async () => {
    await open(['local']);
    two.faults.far.push(fail(/backup_manifest/));
    const record = await takeBackup(two.cluster, quietRun());
    expect(await listed(at(two.nearly))).toEqual([record.id]);
    expect(await listed(at(two.farther))).toEqual([]);
    expect(await idsWithParts(at(two.farther))).toEqual([record.id]);

    const places = await placesOf(two.cluster, record);
    expect(places).toMatchObject({
      repositories: ['local'],
      dropped: [{ repository: 'far', code: 'store-unreachable' }],
    });
    const started = startReport({ operation: 'backup', workflow: null, requestedBy: null, reason: null });
    const { report } = await finishReport(two.cluster, started, backupOutcome(record, started, places));
    expect(report.remote.urls).toHaveLength(1);
    expect(renderReport(report)).toMatch(/NOT IN +far: the store does not answer \[store-unreachable\]/);

    two.faults.far.length = 0;
    const next = await takeBackup(two.cluster, quietRun());
    expect(await listed(at(two.farther))).toEqual([next.id]);
    // The next backup clears nothing away that exists elsewhere: its tombstone would keep the copy out for ever.
    const route = { from: 'local', to: 'far' };
    expect(await copyCluster(two.cluster, route, quietRun())).toMatchObject({ targets: [{ outcome: 'complete' }] });
    expect(await listed(at(two.farther))).toEqual([record.id, next.id]);
  });

  test('clears nothing away that a repository which is away now may have, and of its own failure all', async () => {
    await open(['local']);
    two.faults.far.push(fail(/backup_manifest/));
    const record = await takeBackup(two.cluster, quietRun());
    two.faults.far.length = 0;
    const error = new PgproofError('store-unreachable', 'the bucket does not answer');
    const unavailable = [{ name: 'local', error, open: () => Promise.reject(error) }];
    const config = { ...two.cluster.config, required: ['far'] };
    const alone = { ...two.cluster, config, ...withRepositories([two.far]), unavailable };
    two.faults.far.push({ ...fail(/backup_manifest/), times: 1 });
    await expect(takeBackup(alone, quietRun())).rejects.toMatchObject({ code: 'store-unreachable' });
    expect(await idsWithParts(at(two.farther))).toEqual([record.id]);

    const route = { from: 'local', to: 'far' };
    expect(await copyCluster(two.cluster, route, quietRun())).toMatchObject({ targets: [{ outcome: 'complete' }] });
    expect(await listed(at(two.farther))).toEqual([record.id]);
  });

  test('drops one that is not required and hangs, after a while', async () => {
    await open(['local']);
    two.faults.far.push({ on: 'create', key: /pgdata/, fault: { kind: 'hang' } });
    const record = await takeBackup(two.cluster, quietRun(), { patienceSeconds: 0.5 });
    expect(await placesOf(two.cluster, record)).toMatchObject({
      repositories: ['local'],
      dropped: [{ repository: 'far', code: 'timeout' }],
    });
  });

  test('is committed where it must be although another one hangs by then', async () => {
    await open(['local']);
    const { id } = await copyBase(two.cluster, quietRun());
    await awaitWal(two.cluster, id, quietRun());
    two.faults.far.push({ on: 'list', fault: { kind: 'hang' } });
    const record = await commit(two.cluster, id, quietRun(), { patienceSeconds: 0.5 });
    two.faults.far.length = 0;
    expect(await listed(at(two.nearly))).toEqual([id]);
    expect(await listed(at(two.farther))).toEqual([]);
    expect(await placesOf(two.cluster, record)).toMatchObject({
      repositories: ['local'],
      dropped: [{ repository: 'far', code: 'store-unreachable', message: expect.stringContaining('within 0.5 s') }],
    });
  });

  test('is refused before it begins when a required one is away, and made without one that is not', async () => {
    await open();
    const error = new PgproofError('store-unreachable', 'the bucket does not answer');
    const gone = {
      repositories: [two.near],
      written: [two.near],
      unavailable: [{ name: 'far', error, open: () => Promise.reject(error) }],
    };
    await expect(takeBackup({ ...two.cluster, ...gone }, quietRun())).rejects.toMatchObject({
      code: 'store-unreachable',
      facts: { repository: 'far' },
    });
    const config = { ...two.cluster.config, required: ['local'] };
    const record = await takeBackup({ ...two.cluster, config, ...gone }, quietRun());
    expect(await placesOf({ ...two.cluster, config, ...gone }, record)).toMatchObject({
      dropped: [{ repository: 'far', message: 'the bucket does not answer' }],
    });
  });

  test('invariant 1: is committed in each repository only when its own WAL is there', async () => {
    await open();
    two.faults.far.push(fail(/\/wal\//));
    const { id } = await copyBase(two.cluster, quietRun());
    await shipOnce(two.cluster, quietRun());
    const waiting = awaitWal(two.cluster, id, quietRun(), { patienceSeconds: 0.5 });
    await expect(waiting).rejects.toMatchObject({ code: 'segment-not-archived', facts: { repository: 'far' } });
    await expect(commit(two.cluster, id, quietRun())).rejects.toMatchObject({
      code: 'segment-not-archived',
      facts: { repository: 'far' },
    });
    for (const cluster of [two.nearly, two.farther]) expect(await listed(at(cluster))).toEqual([]);

    const renamed = { ...two.far, name: 'farther' };
    const changed = { ...two.cluster.config, repositories: ['local', 'farther'] };
    const other = { ...two.cluster, config: changed, ...withRepositories([two.near, renamed]) };
    await expect(commit(other, id, quietRun())).rejects.toMatchObject({ code: 'backup-deleted' });

    // The same without the other one's being required: it is left out, and not trusted.
    const config = { ...two.cluster.config, required: ['local'] };
    const record = await commit({ ...two.cluster, config }, id, quietRun());
    expect(await listed(at(two.nearly))).toEqual([id]);
    expect(await listed(at(two.farther))).toEqual([]);
    expect(await placesOf({ ...two.cluster, config }, record)).toMatchObject({
      dropped: [{ repository: 'far', code: 'segment-not-archived' }],
    });
  });
});

test('a store that keeps other bytes than the first is not believed, whoever it is', async () => {
  const make = (name: string) => initRepository(name, { type: 'file', path: `${tempDir()}/${name}` });
  const [near, far] = [await make('near'), await make('far')];
  const lying = { ...far, store: faulty(far.store, [{ on: 'create', fault: { kind: 'truncate', bytes: 3 } }]) };
  lying.store.create = async (key, body, options) =>
    far.store.create(key, Readable.from([(await (body as Readable).toArray())[0].subarray(0, 3)]), options);
  const cluster = (required: string[]) =>
    ({
      config: { repositories: ['near', 'far'], write: 'all', required },
      ...withRepositories([near, lying]),
    }) as unknown as ProtectedCluster;
  const body = Buffer.from('the whole object');
  const required = new Copies(cluster(['near', 'far']), [near, lying]);
  await expect(teeStore(required).create('a/b', body)).rejects.toMatchObject({ code: 'backup-unverified' });
  const optional = new Copies(cluster(['near']), [near, lying]);
  expect(await teeStore(optional).create('a/c', body)).toMatchObject({ bytes: body.length });
  expect(optional.dropped).toMatchObject([{ repository: 'far', code: 'backup-unverified' }]);
  expect(optional.live).toEqual([near]);
});

test('a store that runs full while it reads is named by its own error, not by that of the stream that it let go', async () => {
  const make = (name: string) => initRepository(name, { type: 'file', path: `${tempDir()}/${name}` });
  const [near, far] = [await make('near'), await make('far')];
  const full: typeof far = { ...far, store: faulty(far.store, []) };
  full.store.create = async (_key, body) => {
    const error = new PgproofError('no-space', 'the disk is full');
    try {
      for await (const _ of body as Readable) throw error;
    } finally {
      await new Promise((resolve) => setImmediate(resolve)); // as a file is closed and removed, before anybody hears of it
    }
    throw error;
  };
  const config = { repositories: ['near', 'far'], write: 'all', required: ['near', 'far'] };
  const cluster = { config, ...withRepositories([near, full]) } as unknown as ProtectedCluster;
  const chunk = Buffer.alloc(256 * 1024);
  const body = Readable.from(Array.from({ length: 64 }, () => chunk));
  const tee = teeStore(new Copies(cluster, [near, full]));
  await expect(tee.create('a/b', body)).rejects.toMatchObject({
    code: 'no-space',
    message: expect.stringContaining('full'),
  });
});
