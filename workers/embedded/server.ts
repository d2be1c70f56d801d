import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { asPgproofError, PgproofError } from '../../core/errors.ts';
import { type Launch, lastLines, launch, serverVersion } from './launch.ts';
import { clearLeftover, writeNote } from './leftover.ts';
import { locateTemporal } from './locate.ts';
import { prepareNamespace } from './namespace.ts';
import { assertPortFree } from './ports.ts';

export type EmbeddedServer = {
  address: string;
  uiUrl: string;
  /** Of the server that runs now: it is started again when it ends. */
  pid(): number | undefined;
  /** Once it answered for the first time. */
  ready: Promise<void>;
  /** Runs it until `signal` aborts. Never throws: without Temporal the WAL is shipped all the same. */
  run(signal: AbortSignal): Promise<void>;
};

type EmbeddedOptions = {
  ports: { port: number; uiPort: number };
  /** Holds its database, log and note. Disposable: the configuration and the repository are the truth. */
  folder: string;
  /** The host's state folder, for verbs to tell this server from a stranger's. */
  owner?: string;
  log: Logger;
  env: NodeJS.ProcessEnv;
};

/**
 * Temporal's dev server for `pgproof up`, ready to be run. It ends with this process in any case. Each server version
 * has a database of its own: one of another version is left aside, never opened.
 * @throws {PgproofError} `port-in-use`, `tool-missing`: nothing was started.
 */
export async function openEmbedded({ ports, folder, owner, log, env }: EmbeddedOptions): Promise<EmbeddedServer> {
  const program = locateTemporal(env);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const note = join(folder, 'server.json');
  await clearLeftover(note);
  await assertPortFree(ports.port, 'port');
  await assertPortFree(ports.uiPort, 'uiPort');
  const database = join(folder, `temporal-${await serverVersion(program)}.db`);
  const options: Launch = { program, database, logFile: join(folder, 'server.log'), ...ports };
  const address = `127.0.0.1:${ports.port}`;

  let child: ChildProcess | undefined;
  const ready = Promise.withResolvers<void>();
  const start = async (signal: AbortSignal): Promise<ChildProcess> => {
    await rm(options.logFile, { force: true }); // anew with each start, so that it cannot grow for ever
    child = launch(options);
    if (child.pid !== undefined)
      await writeNote(note, { pid: child.pid, parent: process.pid, database, port: ports.port });
    await awaitReady(child, options, { address, owner }, signal);
    ready.resolve();
    return child;
  };
  return {
    address,
    uiUrl: `http://127.0.0.1:${ports.uiPort}`,
    pid: () => (child !== undefined && isRunning(child) ? child.pid : undefined),
    ready: ready.promise,
    run: async (signal) => {
      await keepRunning(start, log, signal);
      await rm(note, { force: true });
    },
  };
}

async function keepRunning(
  start: (signal: AbortSignal) => Promise<ChildProcess>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (let waitMs = 500; !signal.aborted; waitMs = Math.min(waitMs * 2, 30_000)) {
    try {
      const child = await start(signal);
      waitMs = 500;
      await runningUntil(child, signal);
      if (signal.aborted) return;
      const { exitCode, signalCode } = child;
      log.error({ exitCode, signal: signalCode }, 'the embedded Temporal server ended; starting it again');
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asPgproofError(thrown);
      log.error({ ...error.toDocument(), retryInMs: waitMs }, `${error.message}; trying again`);
    }
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Ends early when the server does, and never waits longer than 30 s: it needs one. */
async function awaitReady(
  child: ChildProcess,
  { logFile }: Launch,
  { address, owner }: { address: string; owner: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const onEnd = (): void => ended.abort();
  child.once('exit', onEnd).once('error', onEnd);
  if (!isRunning(child)) onEnd();
  try {
    await prepareNamespace(address, AbortSignal.any([signal, ended.signal, AbortSignal.timeout(30_000)]), owner);
  } catch (error) {
    await kill(child);
    throw new PgproofError('temporal-unreachable', `the embedded Temporal server did not start at ${address}`, {
      facts: { address, logFile, lastLines: await lastLines(logFile) },
      hint: `Its log says why: ${logFile}. When its database is damaged, move it away: nothing in it is needed to restore.`,
      cause: error,
    });
  } finally {
    child.removeListener('exit', onEnd).removeListener('error', onEnd);
  }
}

/** Until it ends by itself, or `signal` aborts and it was ended. */
async function runningUntil(child: ChildProcess, signal: AbortSignal): Promise<void> {
  if (!isRunning(child)) return;
  await once(child, 'exit', { signal }).catch(() => undefined);
  await kill(child);
}

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

/** Asked first, killed after 5 s. */
async function kill(child: ChildProcess): Promise<void> {
  if (!isRunning(child) || child.pid === undefined) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const forced = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(forced);
}
