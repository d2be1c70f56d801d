import { hostname, userInfo } from 'node:os';
import type { Command } from 'commander';
import type { Config } from '../core/config.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { forTerminal } from '../core/format.ts';
import type { Progress, Run } from '../core/run.ts';
import { openCluster } from '../host/cluster.ts';
import { findConfig, parseConfig } from '../host/config.ts';
import { type Host, openHost } from '../host/host.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { createLogger } from './logger.ts';
import { progressLine } from './text.ts';

/** What a verb answers: one JSON document, the same for people, and an exit code where it is not 0. */
export type Answer = { json: unknown; text: string; exitCode?: number };

/** One invocation of a verb: its options, this host when the verb needs it, and a way to talk to the person meanwhile. */
export type Session = {
  options: Record<string, unknown>;
  json: boolean;
  signal: AbortSignal;
  /** Who asks, for reports: never an address or a secret. */
  requestedBy: string;
  /** A line on stderr. */
  say(line: string): void;
  host(): Promise<Host>;
  /** The configuration alone, for verbs that any machine may run, a host of the fleet or not. */
  config(): Promise<Config>;
  cluster(name: string): Promise<ProtectedCluster>;
  run: Run;
};

type VerbAction = (session: Session, ...args: string[]) => Promise<Answer>;

/**
 * Turns a verb into commander's action: opens a session, prints the answer, sets the exit code. Whatever is thrown leaves
 * as one typed error, on stderr with its hint, or as `{"error": …}` on stdout under `--json`.
 */
export function verb(action: VerbAction): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    const command = args.at(-1) as Command;
    const positional = args.slice(0, -2) as string[];
    const interrupt = listenForInterrupts();
    try {
      const session = openSession(command.optsWithGlobals(), interrupt.signal);
      const answer = await action(session, ...positional);
      process.exitCode = answer.exitCode ?? 0;
      await print(session.json ? `${JSON.stringify(answer.json, null, 2)}\n` : `${forTerminal(answer.text)}\n`);
    } catch (thrown) {
      throw interrupt.signal.aborted ? asInterrupted(thrown) : thrown;
    } finally {
      interrupt.release();
    }
  };
}

/** @returns the process's exit code. */
export async function printError(thrown: unknown, json: boolean): Promise<number> {
  const error = asPgproofError(thrown);
  if (json) await print(`${JSON.stringify({ error: error.toDocument() }, null, 2)}\n`);
  process.stderr.write(forTerminal(`pgproof: ${error.message} [${error.code}]\n`));
  if (error.hint !== null) process.stderr.write(forTerminal(`${error.hint}\n`));
  if (error.code === 'internal' && isDenied(error.cause))
    process.stderr.write(`User '${userInfo().username}' may not do that: choose another place, or change its owner.\n`);
  else if (error.code === 'internal' && error.cause instanceof Error) process.stderr.write(`${error.cause.stack}\n`);
  return error.exitCode;
}

/** A file that this user may not touch is the person's to mend: a stack says nothing about it. */
function isDenied(cause: unknown): boolean {
  return cause instanceof Error && ['EACCES', 'EPERM', 'EROFS'].includes(String((cause as NodeJS.ErrnoException).code));
}

function openSession(options: Record<string, unknown>, signal: AbortSignal): Session {
  const say = (line: string): void => void process.stderr.write(forTerminal(`${line}\n`));
  let host: Promise<Host> | undefined;
  const open = (): Promise<Host> =>
    openHost({
      configFile: options.config as string | undefined,
      host: options.host as string | undefined,
      env: process.env,
      log: createLogger(),
    });
  const session: Session = {
    options,
    json: options.json === true,
    signal,
    requestedBy: `${userInfo().username}@${hostname()}`,
    say,
    host: () => (host ??= open()),
    config: async () => {
      const { path, text } = await findConfig(options.config as string | undefined);
      return parseConfig(path, text);
    },
    cluster: async (name) => openCluster(await session.host(), name),
    run: { signal, progress: progressOn(say) },
  };
  return session;
}

/**
 * Tells of a phase when it begins, and of its bytes at most every two seconds, and never says the same twice running: a terminal
 * is not a log.
 */
export function progressOn(
  say: (line: string) => void,
  now: () => number = () => performance.now(),
): (progress: Progress) => void {
  let lastPhase = '';
  let lastLine = '';
  let lastAt = 0;
  return (progress) => {
    const line = progressLine(progress);
    const isSoon = progress.phase === lastPhase && now() - lastAt < 2000;
    if (line === lastLine || isSoon) return;
    lastPhase = progress.phase;
    lastLine = line;
    lastAt = now();
    say(line);
  };
}

/**
 * The first Ctrl-C asks; the second one ends the process as if nobody had listened. The listener stays for both: execa's
 * signal-exit ends the process at the first signal when it finds itself the only one that still listens.
 */
function listenForInterrupts(): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const interrupt = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      release();
      process.kill(process.pid, signal);
      return;
    }
    controller.abort(new PgproofError('cancelled', 'interrupted'));
  };
  const release = (): void => {
    process.removeListener('SIGINT', interrupt);
    process.removeListener('SIGTERM', interrupt);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return { signal: controller.signal, release };
}

/** A terminal's Ctrl-C reaches the tools as well: whatever they then say is a consequence, and not what went wrong. */
function asInterrupted(thrown: unknown): PgproofError {
  const error = asPgproofError(thrown);
  if (error.code === 'cancelled') return error;
  const hint = `On its way out: ${error.message} [${error.code}]`;
  return new PgproofError('cancelled', 'interrupted', { facts: error.facts, hint, cause: error });
}

function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error && !isGone(error) ? reject(error) : resolve()));
  });
}

/** Nobody reads any more (client/main.ts); what was done is done all the same. */
const isGone = (error: NodeJS.ErrnoException): boolean => error.code === 'EPIPE';
