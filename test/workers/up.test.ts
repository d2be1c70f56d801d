import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { followRun } from '../../client/follow.ts';
import { connectTemporal, startOperation } from '../../client/temporal.ts';
import { schedules as scheduleSchema } from '../../core/config/schedules.ts';
import type { ClusterConfig } from '../../core/config.ts';
import type { FiledReport } from '../../core/report.ts';
import type { Host } from '../../host/host.ts';
import type { TemporalSettings } from '../../workers/temporal.ts';
import { runUp } from '../../workers/up.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { freePorts, noTemporalEnv, shortTimeouts } from '../support/temporal.ts';

vi.setConfig({ testTimeout: 180_000 }); // several processes start and end in each test

/** `pgproof up`: Temporal, control worker and host worker in one process. */

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ major: alternate(1)[0] as string, ports: await freePorts() });
});
afterAll(() => stage?.dispose());

test('up serves a backup, brings its schedules to the Temporal that it brought along, and ends with everything it started when it is told to', async () => {
  const stop = new AbortController();
  const ready = Promise.withResolvers<TemporalSettings>();
  const env = { ...process.env, ...noTemporalEnv };
  const options = { host: scheduled(stage.host), signal: stop.signal, env, timeouts: shortTimeouts, graceSeconds: 1 };
  const running = runUp({ ...options, onReady: ready.resolve });
  const settings = await Promise.race([ready.promise, running]);
  const temporal = await connectTemporal(settings as TemporalSettings, null);
  const run = await startOperation(temporal, 'main', 'backup', { cluster: 'shop' });
  const never = new AbortController().signal;
  const followed = await followRun<FiledReport>(temporal, run, { fleet: 'main', signal: never });
  expect(followed).toMatchObject({ state: 'done', result: { report: { status: 'SUCCESS' } } });
  await until(() =>
    temporal.client.schedule
      .getHandle('pgproof/main/shop/base')
      .describe()
      .then(Boolean, () => false),
  );
  await temporal.close();
  const foreign = connectTemporal({ ...(settings as TemporalSettings), states: ['/srv/elsewhere'] }, null);
  await expect(foreign).rejects.toMatchObject({ code: 'temporal-foreign', facts: { owner: stage.host.stateDir } });

  stop.abort();
  await running;
  await expect(connectTemporal(settings as TemporalSettings, null)).rejects.toMatchObject({
    code: 'temporal-unreachable',
  });
});

/** The stage's host with a schedule in its configuration. */
function scheduled(host: Host): Host {
  const schedules = scheduleSchema.parse({ base: { run: 'backup', every: '1d' } });
  const shop = { ...(host.config.clusters.shop as ClusterConfig), schedules };
  return { ...host, config: { ...host.config, clusters: { shop } } };
}
