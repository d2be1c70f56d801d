import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StartedRun } from '../../client/temporal.ts';
import type { PgproofError } from '../../core/errors.ts';
import { parseTarget } from '../../core/target.ts';
import { planRestore } from '../../restore/plan.ts';
import { ask } from '../restore/support.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate } from '../support/postgres.ts';
import { startWorker, until, type WorkerProcess } from '../support/stage.ts';
import { openValve, type Valve } from '../support/valve.ts';
import { adopted, openPair, type Pair, type Side } from './support.ts';

/** Two hosts of one cluster, each with its worker; the tests tell one story, in order. */
const [major] = alternate(0) as [string];
const run = { signal: new AbortController().signal, progress: () => undefined };
let fleet: Fleet;
let pair: Pair;
/** Before the server of db-7, and before that of db-8. */
const networks: Valve[] = [];
const workers = new Map<string, WorkerProcess>();

beforeAll(async () => {
  fleet = await openFleet({
    major,
    controlConfig: async (stage) => {
      await stage.server.sql('CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n');
      const socketOf = async (server: { socketDir: string; port: number }): Promise<string> => {
        networks.push(await openValve(server));
        return (networks.at(-1) as Valve).socketDir;
      };
      pair = await openPair(stage, { socketOf });
      return pair.left.host.config;
    },
  });
  await Promise.all([work(pair.left), work(pair.right)]);
});
afterAll(async () => {
  for (const worker of workers.values()) await worker.stop();
  for (const network of networks) await network.close();
  await pair?.dispose();
  await fleet?.dispose();
});

async function work(side: Side): Promise<void> {
  await workers.get(side.name)?.stop();
  workers.set(side.name, await startWorker(side, true, side.name));
}

const finished = async (...asked: Parameters<Fleet['start']>) => fleet.finish(await fleet.start(...asked));
const failed = (...asked: Parameters<Fleet['start']>): Promise<PgproofError> =>
  finished(...asked).then(
    () => expect.unreachable('it should have failed'),
    (error: unknown) => error as PgproofError,
  );

test('with prefer: standby a backup is taken from the standby, and does not wait for archive_timeout', async () => {
  const { report } = await finished('backup');
  expect(report, JSON.stringify(report)).toMatchObject({ status: 'SUCCESS', host: 'db-8' });
  expect(report.result.notes).toContain('taken from the standby on db-8');
  const handle = fleet.temporal.client.workflow.getHandle(report.workflowId as string);
  expect((await handle.describe()).searchAttributes).toMatchObject({ PgHost: ['db-8'] });
});

test('a drill goes to the primary and proves the backup that came from the standby; a verify goes to the standby', async () => {
  const drilled = await finished('drill');
  expect(drilled.report, JSON.stringify(drilled.report)).toMatchObject({
    host: 'db-7',
    result: { verdict: 'passed', rpoSeconds: expect.any(Number) },
  });
  const verified = await finished('verify', { share: 1 });
  expect(verified.report).toMatchObject({ status: 'SUCCESS', host: 'db-8' });
});

test('a restore goes to the host that holds the plan, which the request must name', async () => {
  const { cluster } = pair.right;
  const into = join(fleet.stage.folder, 'restored');
  const { id: plan } = await planRestore(cluster, { target: parseTarget('latest'), into }, run);
  expect(await failed('restore', { plan })).toMatchObject({ code: 'usage', hint: expect.stringContaining('"host"') });
  expect(await failed('restore', { plan, host: 'db-9' })).toMatchObject({ code: 'cluster-elsewhere' });
  const { report } = await finished('restore', { plan, host: 'db-8' });
  expect(report).toMatchObject({ status: 'SUCCESS', host: 'db-8' });
  const rows = await ask<{ count: string }>(fleet.stage.server.bin, into, 'SELECT count(*) FROM orders');
  expect(rows).toEqual([{ count: '1000' }]);
});

test('while the standby is stopped, the backup comes from the primary, and its report says so', async () => {
  await pair.standby.stop();
  const { report } = await finished('backup');
  expect(report).toMatchObject({ status: 'SUCCESS', host: 'db-7' });
  expect(report.result.notes).toContainEqual(
    expect.stringMatching(/^taken from the primary, because no standby is fit/),
  );
});

test('scenario 7: PostgreSQL restarted during a backup: the next attempt makes it', async () => {
  const { server } = fleet.stage;
  const { started, goOn } = await startAndHalt(networks[0] as Valve);
  await server.stop('immediate');
  await server.start();
  goOn();
  const { report } = await fleet.finish(started);
  expect(report).toMatchObject({ status: 'SUCCESS', host: 'db-7' });
});

test('a host whose worker is gone holds nothing up, and is named', async () => {
  await workers.get('db-8')?.stop();
  const { report } = await finished('backup');
  expect(report).toMatchObject({ status: 'SUCCESS', host: 'db-7' });
  expect(report.result.notes).toContainEqual(expect.stringContaining('db-8 did not answer'));
});

test('scenario 7: failed over during a backup: it is refused until the config names the new primary, and says so', async () => {
  await pair.standby.start();
  await work(pair.right);
  await until(async () => (await pair.standby.sql('SELECT FROM pg_stat_wal_receiver')).length > 0);
  const { started, goOn } = await startAndHalt(networks[1] as Valve);
  await fleet.stage.server.kill9();
  await pair.standby.promote();
  goOn();
  const error = (await fleet.finish(started).catch((thrown: unknown) => thrown)) as PgproofError;
  expect(error, JSON.stringify(error)).toMatchObject({
    code: 'timeline-not-adopted',
    hint: expect.stringContaining('clusters.shop.host: [db-8, db-7]'),
  });
});

test('once a person has handed over, the new primary is backed up and drilled, without the old host', async () => {
  await workers.get('db-7')?.stop();
  await pair.handOver(['db-8', 'db-7']);
  await work(pair.right);
  await pair.standby.sql('CREATE TABLE later AS SELECT 1 AS n');
  await until(async () => (await adopted(pair.right.cluster)).includes(2));
  expect((await finished('backup')).report).toMatchObject({ status: 'SUCCESS', host: 'db-8' });
  const { report } = await finished('drill');
  expect(report, JSON.stringify(report)).toMatchObject({ host: 'db-8', result: { verdict: 'passed' } });
});

/** A backup that stands still in the middle of its copy, until it is told to go on. */
async function startAndHalt(network: Valve): Promise<{ started: StartedRun; goOn(): void }> {
  const halted = network.shut(4_000_000);
  const started = await fleet.start('backup');
  await halted;
  return { started, goOn: network.open };
}
