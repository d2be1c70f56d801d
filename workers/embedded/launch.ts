import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { PgproofError } from '../../core/errors.ts';
import { searchAttributes } from '../search-attributes.ts';
import { embeddedNamespace } from '../temporal.ts';

export type Launch = { program: string; database: string; logFile: string; port: number; uiPort: number };

/**
 * Makes the server honour priority keys (core/priority.ts), which it reads only with this matcher, and in one order only within
 * a partition. Queues that an older start of this database has written to several are read all the same.
 */
const dynamicConfig = ['matching.useNewMatcher=true', 'matching.numTaskqueueWritePartitions=1'];

/**
 * Starts Temporal's dev server as a child that the kernel ends with us, even after a SIGKILL. In a session of its own, so
 * that Ctrl-C reaches only us: the workers finish first.
 */
export function launch({ program, database, logFile, port, uiPort }: Launch): ChildProcess {
  const log = openSync(logFile, 'a', 0o600);
  try {
    const server = [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', `${port}`, '--ui-port', `${uiPort}`],
      ...['--db-filename', database, '--namespace', embeddedNamespace, '--log-level', 'warn'],
      ...dynamicConfig.flatMap((value) => ['--dynamic-config-value', value]),
      ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    ];
    // Killed rather than asked: nothing of it is needed that its database does not hold.
    return spawn('setpriv', ['--pdeathsig', 'KILL', program, ...server], {
      stdio: ['ignore', log, log],
      detached: true,
      env: childEnvironment(),
    });
  } finally {
    closeSync(log);
  }
}

/** `1.29.1`, of the server inside the program: its databases are not for other versions. */
export async function serverVersion(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 20_000, env: childEnvironment() });
  const version = /Server (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version !== undefined) return version;
  throw new PgproofError('tool-output', `'${program} --version' names no server version`, {
    facts: { program, output: stdout.slice(0, 200) },
    hint: 'Install the Temporal CLI that pgproof is tested with; pgproof demo does.',
  });
}

/** What the server said last, for an error. */
export async function lastLines(logFile: string, count = 5): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.trim().split('\n').slice(-count).join('\n');
}

/** Our own environment may hold passwords and Temporal profiles; the server needs neither. */
function childEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, LANG, PGPROOF_TEST_RUN } = process.env;
  return { PATH, HOME, TMPDIR, LANG, PGPROOF_TEST_RUN };
}
