import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { followRun } from '../../client/follow.ts';
import { connectTemporal, type StartedRun, startOperation, type Temporal } from '../../client/temporal.ts';
import { configSchema } from '../../core/config.ts';
import { generateKeyFile } from '../../repository/key-file.ts';
import { runControl } from '../../workers/control.ts';
import { runHost } from '../../workers/host.ts';
import { temporalSettings } from '../../workers/temporal.ts';
import { keptTempDir } from '../support/temp.ts';
import {
  bundleCache,
  noTemporalEnv,
  shortTimeouts,
  silent,
  startTemporal,
  type TestTemporal,
} from '../support/temporal.ts';

/** What a real Temporal server has of a run when the configuration names temporal.codec. */

const reason = 'before the merger with Initech';
let server: TestTemporal;
let folder: string;
let sealed: Temporal;
let plain: Temporal;
let run: StartedRun;
let outcome: unknown;
const stop = new AbortController();
let control: Promise<void>;
const follow = (temporal: Temporal, started: StartedRun): Promise<unknown> =>
  followRun(temporal, started, { fleet: 'main', signal: AbortSignal.timeout(170_000) }).catch(
    (error: unknown) => error,
  );

beforeAll(async () => {
  server = await startTemporal();
  folder = keptTempDir('sealed');
  await generateKeyFile(join(folder, 'payloads.key'));
  const config = configSchema.parse({
    hosts: { 'db-7': {} },
    keys: { payloads: { file: join(folder, 'payloads.key') } },
    repositories: { local: { type: 'file', path: '/no/such/folder' } },
    clusters: { shop: { host: 'db-7', connection: { socket: '/no/such/folder' }, repositories: ['local'] } },
    temporal: { embedded: server.ports, codec: 'payloads' },
  });
  const settings = temporalSettings(config, noTemporalEnv);
  const serving = Promise.withResolvers<void>();
  const timeouts = { ...shortTimeouts, quick: { ...shortTimeouts.quick, hello: 1 } };
  const options = { config, temporal: settings, log: silent, signal: stop.signal, timeouts, cache: bundleCache() };
  control = runControl({ ...options, onServing: serving.resolve });
  await Promise.race([serving.promise, control]);
  sealed = await connectTemporal(settings, null);
  plain = await connectTemporal(server.settings, null);
  run = await startOperation(sealed, 'main', 'backup', { cluster: 'shop', reason });
  outcome = await follow(sealed, run);
});
afterAll(async () => {
  stop.abort();
  await control;
  await sealed?.close();
  await plain?.close();
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

test('whoever has the key sees the run as ever: its failure with code, facts and hint', () => {
  expect(outcome).toMatchObject({ code: 'worker-absent', facts: { host: 'db-7' } });
  expect((outcome as { hint: string }).hint).toContain('--offline');
});

test('the recorded history, which the web UI shows, holds no input, result or failure in the clear', async () => {
  const history = await plain.client.workflow.getHandle(run.workflowId).fetchHistory();
  const json = historyToJSON(history);
  const encodings = [...json.matchAll(/"encoding":\s*"([^"]+)"/g)].map(([, text]) =>
    Buffer.from(text!, 'base64').toString(),
  );
  const shown = [...json.matchAll(/"data":\s*"([^"]+)"/g)].map(([, text]) =>
    Buffer.from(text!, 'base64').toString('latin1'),
  );
  expect(encodings.filter((encoding) => encoding === 'binary/encrypted').length).toBeGreaterThan(5);
  expect(json + shown.join()).not.toContain('Initech');
  expect(json).not.toContain('no worker of host');
  expect(json).toContain('Encoded failure');
  // Search attributes are for searching, and stand in the clear by their nature.
  expect(shown.filter((data) => data.includes('shop'))).toEqual(shown.filter((data) => data === '"shop"'));
});

test('whoever lacks the key is told so by name, and cannot be mistaken for somebody who has it', async () => {
  const handle = plain.client.workflow.getHandle(run.workflowId);
  await expect(handle.result()).rejects.toThrow();
  expect(await follow(plain, run)).toMatchObject({ code: 'key-missing' });
});

test('a run that was started in the clear, as from the web UI, is taken as it is', async () => {
  const typed = await startOperation(plain, 'main', 'backup', { cluster: 'shop' });
  expect(await follow(sealed, typed)).toMatchObject({ code: 'worker-absent' });
});

test('a key for payloads that cannot be read does not end a host’s worker, nor its shipping: it serves once it can', async () => {
  const key = join(folder, 'late.key');
  const refused = Promise.withResolvers<void>();
  const log = pino({ level: 'error' }, { write: (line: string) => line.includes('late.key') && refused.resolve() });
  const config = configSchema.parse({
    hosts: { 'db-7': {} },
    keys: { late: { file: key } },
    repositories: {},
    clusters: {},
    temporal: { embedded: server.ports, codec: 'late' },
  });
  const host = { config, configFile: '/no/such/file', name: 'db-7', stateDir: join(folder, 'state'), log };
  const serving = Promise.withResolvers<void>();
  const ended = new AbortController();
  const temporal = temporalSettings(config, noTemporalEnv);
  const running = runHost({ host, temporal, signal: ended.signal, onServing: serving.resolve });
  try {
    await Promise.race([refused.promise, running.then(() => expect.unreachable('it goes on'))]);
    await generateKeyFile(key);
    await serving.promise;
  } finally {
    ended.abort();
    await running;
  }
});
