import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { configSchema } from '../../core/config.ts';
import type { Timeouts } from '../../core/timeouts.ts';
import { openEmbedded } from '../../workers/embedded/server.ts';
import { type TemporalSettings, temporalSettings } from '../../workers/temporal.ts';
import { runDir } from './places.ts';
import { freePort } from './ports.ts';
import { keptTempDir } from './temp.ts';

export type TestTemporal = {
  settings: TemporalSettings;
  ports: { port: number; uiPort: number };
  folder: string;
  /** Of the server that runs now. */
  pid(): number | undefined;
  /** Killed, and started again with what its database holds. */
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
};

/** A real Temporal server of its own, as `up` starts it. Dispose it. */
export async function startTemporal(): Promise<TestTemporal> {
  const folder = keptTempDir('temporal');
  const ports = await freePorts();
  let running: Awaited<ReturnType<typeof run>> | undefined = await run(folder, ports);
  const stop = async (): Promise<void> => {
    await running?.stop();
    running = undefined;
  };
  return {
    settings: temporalSettings(configSchema.parse({ ...emptyConfig, temporal: { embedded: ports } }), noTemporalEnv),
    ports,
    folder,
    pid: () => running?.pid(),
    stop,
    start: async () => {
      running = await run(folder, ports);
    },
    dispose: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function run(folder: string, ports: TestTemporal['ports']) {
  const server = await openEmbedded({ ports, folder: join(folder, 'state'), log: silent, env: process.env });
  const ended = new AbortController();
  const running = server.run(ended.signal);
  await server.ready;
  return {
    pid: server.pid,
    stop: async () => {
      const pid = server.pid();
      ended.abort();
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      await running;
    },
  };
}

export const silent = pino({ level: process.env.PGPROOF_TEST_LOG ?? 'silent' });

/** As if the person had neither a profile nor TEMPORAL_ADDRESS. */
export const noTemporalEnv = { TEMPORAL_CONFIG_FILE: '/no-such-file' };

export const emptyConfig = { hosts: {}, repositories: {}, clusters: {} };

/** The product's profiles, with seconds in place of minutes. */
export const shortTimeouts: Timeouts = {
  quick: { hello: 3, startToClose: 20, scheduleToClose: 40, firstRetry: 1 },
  bulk: {
    scheduleToStart: 60,
    startToClose: 120,
    sized: { atLeast: 120, bytesPerSecond: 2_000_000 },
    heartbeat: 5,
    attempts: 3,
    firstRetry: 1,
    busy: { firstRetry: 1, longestRetry: 2, deadline: 60 },
  },
};

export async function freePorts(): Promise<{ port: number; uiPort: number }> {
  return { port: await freePort(), uiPort: await freePort() };
}

/** The workflows are bundled once a run. */
export const bundleCache = (): string => join(runDir(), 'run', 'workflows');
