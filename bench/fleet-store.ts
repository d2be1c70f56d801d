import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createHostActivities } from '../activities/host.ts';
import type { S3Config } from '../core/config.ts';
import { openCluster } from '../host/cluster.ts';
import { openHost } from '../host/host.ts';
import { inspectServer } from '../postgres/server.ts';
import { declareEra } from '../repository/eras.ts';
import { generateKeyFile } from '../repository/key-file.ts';
import { initRepository } from '../repository/repository.ts';
import { storeFigures } from '../storage/open.ts';
import { activityEnvironment } from '../test/support/activity.ts';
import { endRun, startFile, startRun } from '../test/support/places.ts';
import { majors, startCluster } from '../test/support/postgres.ts';
import { startS3Server } from '../test/support/s3-server.ts';
import { silent } from '../test/support/temporal.ts';
import { archiveCommand } from '../wal/archive-command.ts';
import { installHeartbeat } from '../wal/heartbeat.ts';
import { keptWhileWell } from '../watch/kept.ts';
import { brokenObjectives } from '../watch/watch.ts';
import { startLoops } from '../workers/loops.ts';

/*
 * What each operation asks of a store: the product's own steps and loops on one small real cluster, with a repository at an S3
 * server and a second one that `copy` brings up to date. The requests of shipping and watching go on meanwhile and are told
 * apart by how many there were in a minute in which nothing else happened.
 */

type Counts = Record<string, number>;

const idleSeconds = Number(process.argv[2] ?? 60);
const marked = startRun();
Object.assign(process.env, marked.env);
const folder = startFile();
const s3 = await startS3Server();
Object.assign(process.env, s3.env());
const server = await startCluster({
  major: majors.at(-1) as string,
  settings: { archive_mode: 'on', archive_command: '/bin/false' },
});
try {
  await measure();
} finally {
  await server.dispose();
  await s3.close();
  rmSync(folder, { recursive: true, force: true });
  endRun(marked);
}

async function measure(): Promise<void> {
  const repositories = { near: s3.config(await s3.bucket()), far: s3.config(await s3.bucket()) };
  const host = await makeHost(repositories);
  const cluster = await openCluster(host, 'shop');
  await declareEra(cluster.repository, cluster, 'shop', await inspectServer(cluster.config.connection));
  await installHeartbeat(cluster);
  await server.sql(`ALTER SYSTEM SET archive_command = '${archiveCommand(cluster.paths).replaceAll("'", "''")}'`);
  await server.sql('SELECT pg_reload_conf()');

  const steps = createHostActivities(host, '0.1.0');
  const asked = () => ({ cluster: 'shop', reason: null, requestedBy: 'bench', startedAt: new Date().toISOString() });
  const run = <Input, Result>(step: (input: Input) => Promise<Result>, input: Input): Promise<Result> =>
    activityEnvironment().run(step, input);
  const requests = (): Counts => countsOf(Object.values(host.config.repositories) as S3Config[]);
  const count = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const before = requests();
    const began = performance.now();
    await work();
    console.log(`${what}: ${text(minus(requests(), before))} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  };
  const backup = async (): Promise<void> => {
    await run(steps.preflightBackup, asked());
    const { id } = await run(steps.copyBase, asked());
    await run(steps.awaitWal, { ...asked(), id });
    await run(steps.commitBackup, { ...asked(), id });
    await run(steps.reportBackup, { ...asked(), id });
  };
  const write = async (segments: number): Promise<void> => {
    for (let each = 0; each < segments; each += 1) {
      await server.sql('CREATE TABLE IF NOT EXISTS orders (at timestamptz)');
      await server.sql('INSERT INTO orders VALUES (now())');
      await server.sql('SELECT pg_switch_wal()');
    }
  };

  const loops = await startLoops(host);
  try {
    await count('the first backup', backup);
    await count(`${idleSeconds} s of an idle host`, () => sleep(idleSeconds * 1000));
    await count('20 WAL segments', async () => {
      await write(20);
      await run(steps.syncWal, asked());
    });
    await count('walSync with nothing new', () => run(steps.syncWal, asked()));
    const look = keptWhileWell(
      () => openCluster(host, 'shop'),
      async (opened, options) => {
        await brokenObjectives(opened, options);
        return [];
      },
    );
    await count('a look of the watch, opened anew', () => look({ signal: AbortSignal.timeout(60_000) }));
    await count('a look of the watch', () => look({ signal: AbortSignal.timeout(60_000) }));
    await count('backup', backup);
    await count('copy, the first', () => run(steps.copyOffsite, { ...asked(), to: null, from: null }));
    await count('copy with nothing new', () => run(steps.copyOffsite, { ...asked(), to: null, from: null }));
    await count('expire with nothing to delete', () =>
      run(steps.runExpire, { ...asked(), repository: null, confirmed: false }),
    );
    await count('verify of a tenth', () =>
      run(steps.runVerify, { ...asked(), repository: null, share: 10, restore: false, backup: null, repair: false }),
    );
    await count('drill', () => run(steps.runDrill, { ...asked(), kind: 'probe' as const }));
  } finally {
    await loops.stop();
  }
}

async function makeHost(repositories: Record<string, S3Config>) {
  const configFile = join(folder, 'pgproof.yaml');
  const config = {
    hosts: { 'db-7': { state: join(folder, 'state') } },
    repositories,
    keys: { main: { file: join(folder, 'main.key') } },
    clusters: {
      shop: {
        host: 'db-7',
        connection: { socket: server.socketDir, port: server.port, user: server.user },
        tools: { bin: server.bin },
        repositories: Object.keys(repositories),
        key: 'main',
        retention: { window: '7d', wal: '30d' },
      },
    },
  };
  writeFileSync(configFile, stringify(config));
  await generateKeyFile(join(folder, 'main.key'));
  const host = await openHost({ configFile, host: 'db-7', log: silent });
  for (const name of Object.keys(repositories)) await initRepository(name, host.config.repositories[name]!);
  return host;
}

/** Requests so far, by kind, of all the stores together. */
function countsOf(stores: readonly S3Config[]): Counts {
  const counts: Counts = {};
  for (const store of stores)
    for (const [operation, figures] of Object.entries(storeFigures(store).operations))
      counts[operation] = (counts[operation] ?? 0) + figures.requests;
  return counts;
}

function minus(after: Counts, before: Counts): Counts {
  return Object.fromEntries(
    Object.entries(after).flatMap(([key, value]) => (value === before[key] ? [] : [[key, value - (before[key] ?? 0)]])),
  );
}

function text(counts: Counts): string {
  const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
  return `${all} requests: ${Object.entries(counts)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ')}`;
}
