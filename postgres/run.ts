import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { ExecaError, execa } from 'execa';
import { abortReason, throwIfAborted } from '../core/abort.ts';
import { PgproofError } from '../core/errors.ts';
import { dockerExec } from './docker.ts';
import { dyingWithUs } from './guard.ts';
import type { Tools } from './tools.ts';

/** For tools that work for as long as there is data: days. What stands still is found by other means. Node's timers end at 24 days. */
export const longestSeconds = 2_000_000;

export type ToolOptions = {
  signal: AbortSignal;
  timeoutSeconds: number;
  /** Added to ours; secrets go here (`secretEnv`), never into args. */
  env?: Record<string, string>;
  cwd?: string;
  /** The tool reads what is written to `stdin`, whose end it sees. @defaultValue false: it has no input */
  input?: boolean;
  /** A file descriptor that takes the tool's standard output, in place of `stdout`. */
  stdout?: number | undefined;
  /** Told of messages as they come, for progress; they are kept for errors all the same. */
  onStderr?(text: string): void;
};

export type ToolProcess = {
  pid: number;
  /** Null without `options.input`. Why a write fails, `ended` says: the tool has ended before it read everything. */
  stdin: Writable | null;
  /** Read it to its end, or the tool waits for ever. Empty when `options.stdout` takes the output. */
  stdout: Readable;
  /** Settles when the tool has ended and all its output was taken; rejects with `tool-failed`, `timeout` or the signal's reason. */
  ended: Promise<{ stderr: string }>;
  /** Ends the tool and whatever it started; `ended` rejects. */
  kill(): void;
};

/**
 * Runs one of PostgreSQL's programs to its end and answers what it printed.
 * @param options.maxOutputBytes more output than this is an error, never cut off in silence. @defaultValue 16 MiB
 * @throws {PgproofError} `tool-failed` with exit code and last lines; `tool-output`; `timeout`; the signal's reason.
 */
export async function runTool(
  tools: Tools,
  name: string,
  args: readonly string[],
  options: ToolOptions & { maxOutputBytes?: number },
): Promise<{ stdout: string; stderr: string }> {
  const tool = spawnTool(tools, name, args, options);
  const [stdout, { stderr }] = await Promise.all([
    collect(tool, name, options.maxOutputBytes ?? 16 * 1024 * 1024),
    tool.ended,
  ]);
  return { stdout, stderr };
}

/** Starts one of PostgreSQL's programs whose output is a stream. It dies with this process, and its whole process group on abort. */
export function spawnTool(tools: Tools, name: string, args: readonly string[], options: ToolOptions): ToolProcess {
  throwIfAborted(options.signal);
  // Messages are read by programs and quoted in reports: one language, whatever the host speaks.
  const env = { LC_ALL: 'C', ...options.env };
  const [file, argv] = dyingWithUs('KILL', ...commandOf(tools, name, args, Object.keys(env), options.input));
  const child = execa(file, argv, {
    cancelSignal: options.signal,
    timeout: options.timeoutSeconds * 1000,
    forceKillAfterDelay: 5000,
    killDescendants: true,
    cwd: options.cwd ?? '/',
    env: { ...inheritedNot, ...env },
    // What runs in a container lives as long as this pipe.
    stdin: options.input || tools.container !== undefined ? 'pipe' : 'ignore',
    // execa's types know one kind or the other, not either.
    stdout: (options.stdout ?? 'pipe') as 'pipe',
    buffer: false,
  });
  const stderr = keepTail(child.stderr, 16 * 1024);
  if (options.onStderr) child.stderr.on('data', (chunk: Buffer) => options.onStderr?.(chunk.toString('utf8')));
  const ended = child.then(
    () => ({ stderr: stderr() }),
    (error: unknown) => {
      throw toolError(name, error, stderr(), options);
    },
  );
  // Whoever reads stdout may fail first and never ask for `ended`: that must not end the process.
  ended.catch(() => {});
  const stdin = options.input ? (child.stdin as Writable) : null;
  stdin?.on('error', () => {}); // its writers are told as well
  return {
    pid: child.pid as number,
    stdin,
    stdout: (child.stdout as Readable | null) ?? Readable.from([]),
    ended,
    kill: () => void child.kill(),
  };
}

/**
 * What libpq would take from the environment where the arguments leave it open, and PostgreSQL's protocol as we speak it does not:
 * with PGHOSTADDR the tool would go to another server than the one that was looked at.
 */
const inheritedNot = {
  PGHOSTADDR: undefined,
  PGSERVICE: undefined,
  PGTARGETSESSIONATTRS: undefined,
  PGLOADBALANCEHOSTS: undefined,
  PGCLIENTENCODING: undefined,
};

/**
 * Which of two errors tells why the use of a tool's output broke off. Ours made us stop reading; a broken stream only says that the tool
 * ended, and the tool says why.
 */
export async function whyToolFailed(tool: ToolProcess, error: unknown): Promise<unknown> {
  tool.kill();
  const ended = await tool.ended.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof PgproofError) return error;
  return ended ?? error;
}

function commandOf(
  { bin, container }: Tools,
  name: string,
  args: readonly string[],
  env: readonly string[],
  input = false,
): [file: string, args: readonly string[]] {
  if (container === undefined) return [join(bin, name), args];
  return dockerExec(container, name, args, { env, input: input ? 'data' : 'none' });
}

function toolError(
  name: string,
  error: unknown,
  stderr: string,
  { signal, timeoutSeconds }: ToolOptions,
): PgproofError {
  if (signal.aborted) return abortReason(signal);
  if (!(error instanceof ExecaError))
    return new PgproofError('tool-failed', `${name} failed`, { facts: { tool: name }, cause: error });
  const lines = stderr.trimEnd().split('\n').slice(-10);
  const facts = { tool: name, exitCode: error.exitCode ?? null, signal: error.signal ?? null, stderr: lines };
  if (error.timedOut) {
    return new PgproofError('timeout', `${name} did not end within ${timeoutSeconds} s`, {
      facts: { ...facts, timeoutSeconds },
    });
  }
  const how =
    error.exitCode === undefined ? `ended by ${error.signal ?? error.originalMessage}` : `exit code ${error.exitCode}`;
  return new PgproofError('tool-failed', `${name} failed (${how}): ${lastWords(lines)}`, { facts });
}

function lastWords(lines: readonly string[]): string {
  const spoken = lines.filter((line) => line.trim() !== '' && !/: hint: /.test(line));
  const errors = spoken.filter((line) => /error|fatal/i.test(line));
  return (
    errors.findLast((line) => !line.endsWith(followsFromAnother)) ?? errors.at(-1) ?? spoken.at(-1) ?? 'it said nothing'
  );
}

/** What pg_dump says at last when one of its jobs has failed, which has said why. */
const followsFromAnother = 'a worker process died unexpectedly';

/** The last bytes of a stream: enough to say what went wrong, and bounded whatever the tool prints. */
function keepTail(stream: Readable, maxBytes: number): () => string {
  let tail = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-maxBytes);
  });
  return () => tail.toString('utf8');
}

async function collect(tool: ToolProcess, name: string, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of tool.stdout) {
      bytes += (chunk as Buffer).length;
      if (bytes > maxBytes)
        throw new PgproofError('tool-output', `${name} printed more than ${maxBytes} bytes`, {
          facts: { tool: name, maxBytes },
        });
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    tool.kill();
    if (error instanceof PgproofError) throw error;
    await tool.ended; // says why its output broke off
    throw new PgproofError('tool-failed', `the output of ${name} broke off`, { facts: { tool: name }, cause: error });
  }
  return Buffer.concat(chunks).toString('utf8');
}
