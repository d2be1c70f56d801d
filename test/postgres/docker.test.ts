import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConnectionConfig } from '../../core/config.ts';
import { connectionArgs } from '../../postgres/client.ts';
import { dockerExec, loginEnv, versionInContainer } from '../../postgres/docker.ts';
import { runTool, spawnTool } from '../../postgres/run.ts';
import type { Tools } from '../../postgres/tools.ts';
import { type StandIn, standInDocker } from '../support/docker.ts';
import { type Cluster, majors, startCluster } from '../support/postgres.ts';
import { until } from '../support/stage.ts';
import { keptTempDir } from '../support/temp.ts';

/** Client programs in a container. Docker is a stand-in (test/support/docker.ts); programs and server are real. */

const folder = keptTempDir('docker');
let server: Cluster;
let docker: StandIn;
let tools: Tools;
const { signal } = new AbortController();

beforeAll(async () => {
  server = await startCluster({ major: majors.at(-1) as string });
  docker = standInDocker(folder, server.bin);
  tools = { bin: '', major: Number(server.major), container: docker.container };
});
afterAll(async () => {
  docker?.remove();
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const connection = (): ConnectionConfig => ({
  socket: server.socketDir,
  port: server.port,
  user: server.user,
  database: 'postgres',
});

test('pg_dump runs in the container and answers through it', async () => {
  const args = [...connectionArgs(connection()), '--schema-only', '--dbname=postgres'];
  const { stdout } = await runTool(tools, 'pg_dump', args, { signal, timeoutSeconds: 60 });
  expect(stdout).toContain('-- PostgreSQL database dump complete');
  await expect(versionInContainer(docker.container, 'pg_dump')).resolves.toMatchObject({ major: Number(server.major) });
});

test('scenario 42: a password is named in the arguments, and stands only in the environment', async () => {
  process.env.SHOP_PASSWORD = 'correct horse';
  const env = await loginEnv(tools, { ...connection(), password: { env: 'SHOP_PASSWORD' } });
  const { stdout } = await runTool(tools, 'env', [], { signal, timeoutSeconds: 60, env });
  expect(stdout.split('\n')).toEqual(expect.arrayContaining(['PGPASSWORD=correct horse', 'LC_ALL=C']));
  expect(stdout).not.toContain('HOME=');
  expect(docker.calls().at(-1)).toEqual(expect.arrayContaining(['-e', 'PGPASSWORD']));
  expect(JSON.stringify(docker.calls())).not.toContain('horse');
});

test('a password in our own PGPASSWORD or .pgpass reaches a container, which has neither', async () => {
  process.env.PGPASSWORD = 'from here';
  try {
    expect(await loginEnv(tools, connection())).toEqual({ PGPASSWORD: 'from here' });
    expect(await loginEnv({}, connection())).toEqual({}); // a program of this host has it anyway
  } finally {
    delete process.env.PGPASSWORD;
  }
});

test('what runs in the container ends when it is stopped here, though no signal reaches it', async () => {
  const stop = new AbortController();
  const pidFile = join(folder, 'pid');
  const script = `echo $$ >'${pidFile}'; exec sleep 1000`;
  const tool = spawnTool(tools, 'sh', ['-c', script], { signal: stop.signal, timeoutSeconds: 60 });
  const pid = await pidIn(pidFile);
  expect(isAlive(pid)).toBe(true);
  stop.abort();
  await expect(tool.ended).rejects.toMatchObject({ code: 'cancelled' });
  await until(() => !isAlive(pid));
});

test('a program that fails in the container fails here, with its own code and words', async () => {
  const failed = runTool(tools, 'pg_dump', ['--no-such-option'], { signal, timeoutSeconds: 60 });
  await expect(failed).rejects.toMatchObject({ code: 'tool-failed', facts: { exitCode: 1 } });
  await expect(failed).rejects.toThrow('unrecognized option');
});

test('a container or a program that is not there is named, with what Docker says', async () => {
  await expect(versionInContainer('elsewhere', 'pg_dump')).rejects.toMatchObject({
    code: 'tool-missing',
    message: "no pg_dump in the container 'elsewhere': Error response from daemon: No such container: elsewhere",
  });
  await expect(versionInContainer(docker.container, 'pg_dumb')).rejects.toMatchObject({ code: 'tool-missing' });
  docker.remove();
  const path = process.env.PATH;
  process.env.PATH = folder.replace(/[^/]*$/, 'nowhere');
  try {
    await expect(versionInContainer('shop-db', 'pg_dump')).rejects.toMatchObject({ code: 'tool-missing' });
  } finally {
    process.env.PATH = path;
  }
});

test.each([['dash'], ['busybox', 'sh']])(
  '%s of a container ends what runs in it with its input, and passes its code on',
  async (...shell) => {
    const command = (...program: [string, ...string[]]) => {
      const [name, ...args] = program;
      const [, said] = dockerExec('c', name, args);
      return [...shell.slice(1), ...said.slice(said.indexOf('-c'))];
    };
    const file = shell[0] as string;
    const failed = await execa(file, command('sh', '-c', 'echo out; exit 7'), { stdin: 'pipe', reject: false });
    expect(failed).toMatchObject({ exitCode: 7, stdout: 'out' });
    const stopped = await execa(file, command('sleep', '1000'), { input: '', reject: false });
    expect(stopped.exitCode).toBe(143); // SIGTERM
  },
);

async function pidIn(file: string): Promise<number> {
  const read = () => Number(readText(file));
  await until(() => read() > 0);
  return read();
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
