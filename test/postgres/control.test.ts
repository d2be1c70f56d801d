import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import * as z from 'zod';
import { queryOne, withClient } from '../../postgres/client.ts';
import {
  type RunningServer,
  readControlData,
  runningServer,
  type StartOptions,
  startServer,
  stopLeftoverServer,
} from '../../postgres/control.ts';
import { alternate, bin, type Cluster, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';

const [major] = alternate(1) as [string];
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ major, start: false });
});
afterAll(() => cluster.dispose());

const options = (more: Partial<StartOptions> = {}): StartOptions => ({
  tools: { bin: cluster.bin, major: Number(major) },
  dataDir: cluster.dataDir,
  socketDir: cluster.socketDir,
  settings: {},
  logFile: cluster.logFile,
  signal: new AbortController().signal,
  wait: 'connect',
  ...more,
});

async function withServer(more: Partial<StartOptions>, use: (server: RunningServer) => Promise<void>): Promise<void> {
  const server = await startServer(options(more));
  try {
    await use(server);
  } finally {
    await server.stop('immediate');
  }
}

/** Neither gone nor a zombie. */
function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('a server of ours answers on its socket with our settings, and stops when told', async () => {
  await withServer({ settings: { work_mem: '7MB', 'my.value': "it's" } }, async (server) => {
    const show = (name: string) =>
      withClient(server.connection, (client) =>
        queryOne(client, 'SELECT current_setting($1) AS value', [name], z.object({ value: z.string() })),
      );
    expect(await show('work_mem')).toEqual({ value: '7MB' });
    expect(await show('my.value')).toEqual({ value: "it's" });
    expect(await show('listen_addresses')).toEqual({ value: '' });
    expect(await runningServer(cluster.dataDir)).toBe(server.pid);
    await server.stop('fast');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(await server.log()).toContain('database system is shut down');
    expect(await runningServer(cluster.dataDir)).toBeNull();
    await server.stop('fast');
  });
});

test('a stop that flushes much is waited for as long as it is told, and only then cut short', async () => {
  const state = async () => (await readControlData(options().tools, cluster.dataDir)).state;
  const logged = async (server: RunningServer, words: string) => (await server.log()).includes(words);
  for (const [fastSeconds, goesOn, ends] of [
    [0.5, 'received immediate shutdown request', 'in production'],
    [120, 'received fast shutdown request', 'shut down'],
  ] as const) {
    await withServer({}, async (server) => {
      const checkpointer = await withClient(server.connection, (client) =>
        queryOne(
          client,
          "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'",
          [],
          z.object({ pid: z.number() }),
        ),
      );
      process.kill(checkpointer.pid, 'SIGSTOP');
      const stopped = server.stop('fast', fastSeconds);
      await until(() => logged(server, goesOn), 20);
      await sleep(1000); // which the longer one waits for
      process.kill(checkpointer.pid, 'SIGCONT');
      await stopped;
    });
    expect(await state()).toBe(ends);
  }
});

test('a server of ours gets no secret from our environment', async () => {
  vi.stubEnv('PGPASSWORD', 'hunter2');
  try {
    await withServer({}, async ({ pid }) => {
      expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('hunter2');
    });
  } finally {
    vi.unstubAllEnvs();
  }
});

test('a server that cannot start says why, from its log', async () => {
  const attempt = startServer(options({ settings: { shared_preload_libraries: 'nosuchlib' } }));
  await expect(attempt).rejects.toMatchObject({
    code: 'tool-failed',
    message: expect.stringContaining('could not access file "nosuchlib"'),
  });
  await expect(startServer(options({ tools: { bin: '/nonexistent', major: 15 } }))).rejects.toMatchObject({
    code: 'tool-failed',
  });
  expect(await runningServer(cluster.dataDir)).toBeNull();
});

test('a port or a data folder that another server has is named as such', async () => {
  await withServer({}, async () => {
    await expect(startServer(options({ port: 5433 }))).rejects.toMatchObject({
      code: 'cluster-running',
      facts: { path: cluster.dataDir },
    });
    const other = await startCluster({ major, start: false });
    try {
      const attempt = startServer(options({ dataDir: other.dataDir, logFile: other.logFile }));
      await expect(attempt).rejects.toMatchObject({ code: 'port-in-use', exitCode: 2, facts: { port: 5432 } });
      await withListener(async (port) => {
        const settings = { listen_addresses: '127.0.0.1' };
        const tcp = startServer(
          options({ dataDir: other.dataDir, socketDir: other.socketDir, logFile: other.logFile, port, settings }),
        );
        await expect(tcp).rejects.toMatchObject({ code: 'port-in-use', facts: { port } });
      });
    } finally {
      await other.dispose();
    }
  });
});

async function withListener(use: (port: number) => Promise<void>): Promise<void> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    await use((listener.address() as { port: number }).port);
  } finally {
    await new Promise((resolve) => listener.close(resolve));
  }
}

test('the log of a server begins with its own start', async () => {
  await withServer({}, async (server) => {
    const log = await server.log();
    expect(log.match(/starting PostgreSQL/g)).toHaveLength(1);
    expect(log).not.toContain('nosuchlib');
  });
});

test('a socket path that no socket can have is refused before anything starts', async () => {
  const socketDir = `/tmp/${'long'.repeat(25)}`;
  await expect(startServer(options({ socketDir }))).rejects.toMatchObject({
    code: 'server-settings',
    facts: { path: `${socketDir}/.s.PGSQL.5432` },
  });
});

test('an aborted signal ends the server at once', async () => {
  const controller = new AbortController();
  const server = await startServer(options({ signal: controller.signal }));
  controller.abort();
  expect(await server.exited).toEqual({ code: 0, signal: null });
  await expect(startServer(options({ signal: controller.signal }))).rejects.toMatchObject({ code: 'cancelled' });
});

test('a server that does not take sessions in time is stopped again', async () => {
  // Recovery that waits for WAL nobody brings.
  writeFileSync(join(cluster.dataDir, 'standby.signal'), '');
  onTestFinished(() => rmSync(join(cluster.dataDir, 'standby.signal')));
  const started = startServer(
    options({ settings: { hot_standby: 'on', restore_command: 'sleep 600' }, readyTimeoutSeconds: 1 }),
  );
  await expect(started).rejects.toMatchObject({ code: 'timeout', facts: { timeoutSeconds: 1 } });
  expect(await runningServer(cluster.dataDir)).toBeNull();
});

async function startInAnotherProcess(): Promise<{ parent: ReturnType<typeof spawn>; pid: number }> {
  const script = fileURLToPath(new URL('./parent.ts', import.meta.url));
  const parent = spawn(process.execPath, [script, bin(major), major, cluster.dataDir, cluster.socketDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: parent.stdout as NodeJS.ReadableStream });
  const pid = await new Promise<number>((resolve, reject) => {
    lines.once('line', (line) => resolve(Number(line)));
    parent.once('exit', (code) => reject(new Error(`the parent ended with ${code}`)));
  });
  return { parent, pid };
}

test('scenario 34: when the process that started a server is killed, the server ends at once', async () => {
  const { parent, pid } = await startInAnotherProcess();
  expect(await runningServer(cluster.dataDir)).toBe(pid);
  const before = statSync(cluster.logFile).size;
  const isTold = () => readFileSync(cluster.logFile, 'utf8').slice(before).includes('shutdown request');
  parent.kill('SIGKILL');
  for (let turn = 0; turn < 100 && alive(pid) && !isTold(); turn += 1) await sleep(50);
  expect(alive(pid) && !isTold()).toBe(false);
  await until(() => !alive(pid), 20);
  await until(() => !existsSync(join(cluster.dataDir, 'postmaster.pid')), 20);
});

test('scenario 34: a server left in a folder is found and ended, and another process with its number is left alone', async () => {
  expect(await stopLeftoverServer(cluster.dataDir)).toBeNull();
  await cluster.start();
  const pid = await runningServer(cluster.dataDir);
  expect(await stopLeftoverServer(cluster.dataDir)).toBe(pid);
  expect(cluster.running()).toBe(false);

  const elsewhere = tempDir();
  writeFileSync(join(elsewhere, 'postmaster.pid'), `${process.pid}\n${elsewhere}\n`);
  expect(await runningServer(elsewhere)).toBeNull();
  expect(await stopLeftoverServer(elsewhere)).toBeNull();
});
