import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { followRun } from '../../client/follow.ts';
import { type StartedRun, startOperation } from '../../client/temporal.ts';
import { parseTarget } from '../../core/target.ts';
import { planRestore } from '../../restore/plan.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate } from '../support/postgres.ts';
import { startWorker, type WorkerProcess } from '../support/stage.ts';

vi.setConfig({ testTimeout: 180_000 }); // several processes start and end in each test

/** Every secret of a run is known beforehand, everything that the run leaves or shows is collected, and searched for them. */

const password = 'Tr0ub4dor-and-3';
let fleet: Fleet;
let worker: WorkerProcess;
const watching = new AbortController();
const commandLines = new Set<string>();
let watched: Promise<void>;

beforeAll(async () => {
  fleet = await openFleet({ major: alternate(0)[0] as string, password });
  noteCommandLines();
  watched = watchCommandLines();
  worker = await startWorker(fleet.stage);
});
afterAll(async () => {
  await worker?.stop();
  await fleet?.dispose();
});

const runs: StartedRun[] = [];

test('scenario 42: no secret in the history of a backup, nor in what it answers', async () => {
  runs.push(await fleet.start('backup', { reason: 'the whole story' }));
  const { report } = await fleet.finish(runs[0]!);
  expect(report.status).toBe('SUCCESS');
  expect(found(await inTemporal(), secrets())).toEqual([]);
  // The search itself can find, also in a payload, which a history holds as base64.
  const payload = JSON.stringify({ data: Buffer.from(`x ${password} y`).toString('base64') });
  expect(found([['here', payload]], secrets())).toEqual(['here']);
});

test('scenario 42: no secret in histories, search attributes, logs, reports, plans or process lists after a full run', async () => {
  const { cluster, folder } = fleet.stage;
  const follow = async (started: StartedRun) => {
    runs.push(started);
    return fleet.finish(started);
  };
  await follow(await fleet.start('drill'));
  const run = { signal: new AbortController().signal, progress: () => undefined };
  const order = { target: parseTarget('latest'), into: join(folder, 'restored') };
  const plan = await planRestore(cluster, order, run);
  await follow(await fleet.start('restore', { plan: plan.id }));
  await follow(await fleet.start('dump'));
  // Failures talk the most: a password that no longer fits, quoted by whoever is refused.
  await fleet.stage.server.sql(`ALTER ROLE pgproof PASSWORD 'another-one'`);
  const refused = follow(await fleet.start('backup'));
  const refusal = await refused.catch((error: unknown) => JSON.stringify(error) + String(error));
  const check = await startOperation(fleet.temporal, 'main', 'check', { cluster: 'shop' });
  runs.push(check);
  await followRun(fleet.temporal, check, { fleet: 'main', signal: run.signal });
  await worker.stop();
  watching.abort();
  await watched;

  const shown = [['an error', refusal as string] as Shown, ...(await inTemporal())];
  shown.push(['the log', readFileSync(worker.logFile, 'utf8')]);
  shown.push(['process lists', [...commandLines].join('\n')]);
  const tools = readFileSync(toolsLog(), 'utf8');
  shown.push(['the command lines of tools', tools]);
  for (const file of filesBelow(join(folder, 'repository'), /\.(json|txt|history)$/))
    shown.push([file, readFileSync(file, 'utf8')]);
  for (const file of filesBelow(join(folder, 'state'), /\.json$/)) shown.push([file, readFileSync(file, 'utf8')]);

  const histories = ['backup', 'drill', 'restore', 'dump', 'check'].map((operation) => `the history of ${operation}`);
  expect(shown.map(([where]) => where)).toEqual(expect.arrayContaining(histories));
  for (const tool of ['pg_basebackup', 'pg_dump', 'pg_dumpall']) expect(tools).toMatch(new RegExp(`/${tool} .*--`));
  expect(found(shown, secrets())).toEqual([]);
});

/** Where it was shown, and what. */
type Shown = [string, string];

/** What Temporal has of every run. */
async function inTemporal(): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const { operation, workflowId } of runs) {
    const handle = fleet.temporal.client.workflow.getHandle(workflowId);
    shown.push([`the history of ${operation}`, historyToJSON(await handle.fetchHistory())]);
    shown.push([`the attributes of ${operation}`, JSON.stringify((await handle.describe()).searchAttributes)]);
  }
  return shown;
}

/** Each in the forms in which it could slip out. */
function secrets(): string[] {
  const keyFile = readFileSync(join(fleet.stage.folder, 'main.key'), 'utf8');
  const inKeyFile = [...keyFile.matchAll(/"([A-Za-z0-9+/_=-]{40,})"/g)].map((match) => match[1] as string);
  expect(inKeyFile.length).toBeGreaterThanOrEqual(3); // data, identity and signing key
  const keys = inKeyFile.map((text) => Buffer.from(text, 'base64'));
  const forms = (['hex', 'base64', 'base64url'] as const).flatMap((form) => keys.map((key) => key.toString(form)));
  return [password, 'another-one', ...inKeyFile, ...forms];
}

/** Where a secret stands, in the clear, or in the base64 of a Temporal payload. */
function found(shown: readonly Shown[], known: string[]): string[] {
  return shown
    .filter(([, text]) => known.some((secret) => text.includes(secret) || decoded(text).includes(secret)))
    .map(([where]) => where);
}

function decoded(text: string): string {
  const payloads = [...text.matchAll(/"data":\s*"([A-Za-z0-9+/=]+)"/g)];
  return payloads.map(([, data]) => Buffer.from(data as string, 'base64').toString('latin1')).join('\n');
}

const toolsLog = () => join(fleet.stage.folder, 'tools.log');

/** The worker's tools note each their whole command line: a short one is in no process list that is taken now and then. */
function noteCommandLines(): void {
  const { folder, configFile, server } = fleet.stage;
  const tools = join(folder, 'tools');
  mkdirSync(tools);
  for (const name of readdirSync(server.bin)) {
    const note = `tr '\\0' ' ' </proc/$$/cmdline >>'${toolsLog()}'; echo >>'${toolsLog()}'`;
    writeFileSync(join(tools, name), `#!/bin/sh\n${note}\nexec '${join(server.bin, name)}' "$@"\n`, { mode: 0o755 });
  }
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(`bin: ${server.bin}`, `bin: ${tools}`));
}

/** What `ps` shows anybody, ten times a second: command lines of all processes. */
async function watchCommandLines(): Promise<void> {
  while (!watching.signal.aborted) {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        if (line !== '') commandLines.add(line);
      } catch {}
    }
    await sleep(100);
  }
}

function filesBelow(folder: string, names: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => names.test(name))
    .map((name) => join(folder, name));
}
