import { type ChildProcess, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason, throwIfAborted } from '../core/abort.ts';
import type { ConnectionConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { dyingWithUs } from './guard.ts';
import { readPostmasterFile } from './leftover.ts';
import { endedEarly, lastLines, readTail, sizeOf } from './server-log.ts';
import type { Tools } from './tools.ts';

export { type ControlData, readControlData } from './controldata.ts';
export { runningServer, stopLeftoverServer } from './leftover.ts';
export { quoteSetting, settingLines } from './settings.ts';

export type StartOptions = {
  tools: Tools;
  dataDir: string;
  /** A private folder (0700); the only way in, because TCP stays closed unless `settings` say otherwise. */
  socketDir: string;
  /** Names the socket. @defaultValue 5432 */
  port?: number;
  /** Given on the command line, which beats every file. Never a secret: every user can read a command line. */
  settings: Record<string, string>;
  /** Appended to; mode 0600. */
  logFile: string;
  /** Aborting it ends the server at once, now or later. */
  signal: AbortSignal;
  /** How long the start, with its recovery, may take until queries are answered. @defaultValue 600 */
  readyTimeoutSeconds?: number;
  /** `connect`: until sessions are taken, as a primary or as a hot standby. `none`: returns once the process runs. */
  wait: 'connect' | 'none';
  /** What `connection` logs in as. @defaultValue 'postgres' */
  user?: string;
};

export type ServerExit = { code: number | null; signal: NodeJS.Signals | null };

export type RunningServer = {
  pid: number;
  connection: ConnectionConfig;
  /** Settles when the postmaster has ended, for whatever reason; never rejects. */
  exited: Promise<ServerExit>;
  /** What the server has written to its log file since this start, the last MiB of it. */
  log(): Promise<string>;
  /**
   * Waits until it has ended; a fast stop becomes an immediate one when its last checkpoint takes longer than that.
   * Safe to call twice.
   * @param fastSeconds @defaultValue 60
   */
  stop(mode: 'fast' | 'immediate', fastSeconds?: number): Promise<void>;
};

const stopSignals = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/**
 * Starts a server of our own as a child of this process, in its own session (Ctrl-C on the terminal is ours to pass on), and tied
 * to our life: when this process is killed, the server ends at once.
 * @throws {PgproofError} `root-refused`; `server-settings` for a socket path that is too long; when it ends before it is ready,
 * `port-in-use`, `cluster-running`, or `tool-failed` with the end of its log; `timeout`; the signal's reason. Nothing runs after
 * a throw.
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  throwIfAborted(options.signal);
  refuseRoot();
  const connection = connectionTo(options);
  const logStart = await sizeOf(options.logFile);
  const postmaster = await spawnPostmaster(options);
  const server = runningFrom(postmaster, connection, logStart, options);
  if (options.wait === 'none') return server;
  try {
    await untilReady(server, options);
    return server;
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
}

function refuseRoot(): void {
  if (process.getuid?.() !== 0) return;
  throw new PgproofError('root-refused', 'PostgreSQL servers do not run as root', {
    hint: 'Run pgproof as the user that owns the data directory, for example: setpriv --reuid postgres --regid postgres --init-groups …',
  });
}

function connectionTo({ socketDir, port = 5432, user = 'postgres' }: StartOptions): ConnectionConfig {
  const socket = join(socketDir, `.s.PGSQL.${port}`);
  // sun_path has 108 bytes with its end mark.
  if (Buffer.byteLength(socket) > 107) {
    throw new PgproofError('server-settings', `the path of the socket '${socket}' is longer than 107 bytes`, {
      facts: { path: socket },
      hint: 'Use a shorter state folder: hosts.<name>.state.',
    });
  }
  return { socket: socketDir, port, user, database: 'postgres' };
}

type Postmaster = { child: ChildProcess; exited: Promise<ServerExit> };

async function spawnPostmaster(options: StartOptions): Promise<Postmaster> {
  const settings = {
    listen_addresses: '',
    unix_socket_directories: options.socketDir,
    port: String(options.port ?? 5432),
    logging_collector: 'off',
    log_destination: 'stderr',
    // Engines read this log.
    lc_messages: 'C',
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [file, argv] = dyingWithUs('QUIT', join(options.tools.bin, 'postgres'), ['-D', options.dataDir, ...args]);
  const log = await open(options.logFile, 'a', 0o600);
  try {
    const child = spawn(file, argv, { cwd: '/', detached: true, env: plainEnv(), stdio: ['ignore', log.fd, log.fd] });
    // Listened for at once: it may have ended before the next thing that is awaited here.
    const exited = new Promise<ServerExit>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    return { child, exited };
  } catch (cause) {
    throw new PgproofError('tool-failed', `'${file}' does not start: ${(cause as Error).message}`, {
      facts: { tool: 'postgres' },
      cause,
    });
  } finally {
    await log.close();
  }
}

/** The server gets no variable of ours: PGPASSWORD, PGDATA and the like are not for it, nor for the commands it runs. */
function plainEnv(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TZ', 'TMPDIR', 'LD_LIBRARY_PATH'];
  const inherited = kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...Object.fromEntries(inherited), LC_ALL: 'C' };
}

function runningFrom(
  { child, exited }: Postmaster,
  connection: ConnectionConfig,
  logStart: number,
  options: StartOptions,
): RunningServer {
  const end = () => void child.kill('SIGQUIT');
  options.signal.addEventListener('abort', end, { once: true });
  void exited.then(() => options.signal.removeEventListener('abort', end));
  if (options.signal.aborted) end();
  return {
    pid: child.pid as number,
    connection,
    exited,
    log: () => readTail(options.logFile, logStart, 1024 * 1024),
    stop: (mode, fastSeconds = 60) => stopChild(child, exited, mode, fastSeconds),
  };
}

async function stopChild(
  child: ChildProcess,
  exited: Promise<ServerExit>,
  mode: 'fast' | 'immediate',
  fastSeconds: number,
): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [
    [stopSignals[mode], mode === 'fast' ? fastSeconds : 60],
    ['SIGQUIT', 20],
    ['SIGKILL', 20],
  ];
  for (const [signal, seconds] of steps) {
    child.kill(signal);
    if (await within(exited, seconds)) return;
  }
  throw new PgproofError('tool-failed', `the server with process ${child.pid} does not end`, {
    facts: { tool: 'postgres', pid: child.pid ?? null },
  });
}

async function within(exited: Promise<ServerExit>, seconds: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(seconds * 1000, false, { signal: timer.signal }).catch(() => false);
  try {
    return await Promise.race([exited.then(() => true), late]);
  } finally {
    timer.abort();
  }
}

/** As pg_ctl waits: the server itself writes `ready` or `standby` into postmaster.pid once it takes sessions. */
async function untilReady(server: RunningServer, options: StartOptions): Promise<void> {
  const seconds = options.readyTimeoutSeconds ?? 600;
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const exit = await Promise.race([server.exited, sleep(50, undefined)]);
    if (options.signal.aborted) throw abortReason(options.signal);
    if (exit !== undefined) throw endedEarly(exit, await server.log(), options);
    const file = await readPostmasterFile(options.dataDir);
    if (file?.pid === server.pid && ['ready', 'standby'].includes(file.status)) return;
    if (Date.now() > deadline) {
      throw new PgproofError('timeout', `the server in '${options.dataDir}' takes no sessions after ${seconds} s`, {
        facts: { path: options.dataDir, timeoutSeconds: seconds, log: lastLines(await server.log()) },
      });
    }
  }
}
