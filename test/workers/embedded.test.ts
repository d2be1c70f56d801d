import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { openEmbedded } from '../../workers/embedded/server.ts';
import { tempDir } from '../support/temp.ts';
import { freePorts, silent, startTemporal, type TestTemporal } from '../support/temporal.ts';

const child = join(import.meta.dirname, 'embedded-child.ts');
const node = join(import.meta.dirname, '../../node_modules/.bin/node');

describe('the embedded Temporal server', () => {
  let temporal: TestTemporal;
  beforeAll(async () => {
    temporal = await startTemporal();
  });
  afterAll(() => temporal?.dispose());

  test('keeps histories for 90 days, in a namespace of its own', async () => {
    const connection = await Connection.connect({ address: temporal.settings.address });
    try {
      const { config } = await connection.workflowService.describeNamespace({ namespace: 'pgproof' });
      expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(90 * 86_400);
    } finally {
      await connection.close();
    }
  });

  test('is started again when it dies', async () => {
    const first = temporal.pid() as number;
    process.kill(first, 'SIGKILL');
    await until(() => temporal.pid() !== undefined && temporal.pid() !== first);
    const connection = await Connection.connect({ address: temporal.settings.address, connectTimeout: '120s' });
    await connection.close();
  });

  test('refuses a port that somebody else uses before it starts anything, naming port and key', async () => {
    const folder = tempDir();
    const { port } = await freePorts();
    const error = await openEmbedded({
      ports: { port, uiPort: temporal.ports.uiPort },
      folder,
      log: silent,
      env: process.env,
    }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PgproofError);
    expect(error).toMatchObject({ code: 'port-in-use', facts: { port: temporal.ports.uiPort } });
    expect((error as PgproofError).hint).toContain('temporal.embedded.uiPort');
    expect(existsSync(join(folder, 'server.json'))).toBe(false);
  });

  test('says that another `up` runs when it is started twice on one state folder', async () => {
    const opened = openEmbedded({
      ports: await freePorts(),
      folder: join(temporal.folder, 'state'),
      log: silent,
      env: process.env,
    });
    await expect(opened).rejects.toMatchObject({ code: 'port-in-use', facts: { parent: process.pid } });
  });
});

test('the embedded server dies with its parent, even by SIGKILL, and the next start clears its note', async () => {
  const folder = tempDir();
  const { port, uiPort } = await freePorts();
  const parent = spawn(node, [child, folder, `${port}`, `${uiPort}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const server = Number(line.toString());
  expect(isAlive(server)).toBe(true);

  parent.kill('SIGKILL');
  await until(() => !isAlive(server));

  expect(existsSync(join(folder, 'server.json'))).toBe(true);
  await openEmbedded({ ports: { port, uiPort }, folder, log: silent, env: process.env });
  expect(existsSync(join(folder, 'server.json'))).toBe(false);
});

test('a note that names a process of somebody else harms nobody', async () => {
  const folder = tempDir();
  const note = { pid: process.pid, parent: 1, database: join(folder, 'temporal-1.0.0.db'), port: 1 };
  writeFileSync(join(folder, 'server.json'), JSON.stringify(note));
  await openEmbedded({ ports: await freePorts(), folder, log: silent, env: process.env });
});

test('a database of another server version is left aside', async () => {
  const folder = tempDir();
  const old = join(folder, 'temporal-1.0.0.db');
  writeFileSync(old, 'of another version');
  const ports = await freePorts();
  const server = await openEmbedded({ ports, folder, log: silent, env: process.env });
  const stop = new AbortController();
  const running = server.run(stop.signal);
  await server.ready;
  stop.abort();
  await running;
  expect(readFileSync(old, 'utf8')).toBe('of another version');
});

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await sleep(20);
}
