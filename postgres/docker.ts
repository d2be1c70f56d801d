import { execa } from 'execa';
import type { ConnectionConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { readPassword, secretEnv } from './password.ts';
import type { Tools } from './tools.ts';
import { parseToolVersion } from './version.ts';

/*
 * PostgreSQL's client programs in a container, by `docker exec`. What docker starts there is no child of ours: neither a signal to
 * `docker` nor its death reaches it. Its standard input does: it ends when `docker` ends, however that comes about.
 */

/** Runs its arguments and kills them when standard input ends; any POSIX shell does, busybox's too. */
const bound = `exec 3<&0
"$@" </dev/null 3<&- &
tool=$!
{ while read -r _; do :; done; kill "$tool"; } <&3 >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$tool"; code=$?
kill "$watch" 2>/dev/null
exit "$code"`;

/**
 * The command that runs a program in the container.
 * @param env names only: docker takes the values from its own environment, so that none stands in an argument.
 * @param input `data`: the program reads its standard input, whose end it sees. `none`: keep a pipe to it open as long as the program
 * shall live.
 */
export function dockerExec(
  container: string,
  program: string,
  args: readonly string[],
  { env = [], input = 'none' }: { env?: readonly string[]; input?: 'none' | 'data' } = {},
): [file: string, args: string[]] {
  const names = env.flatMap((name) => ['-e', name]);
  const command = input === 'data' ? [program, ...args] : ['sh', '-c', bound, 'sh', program, ...args];
  return ['docker', ['exec', '-i', ...names, container, ...command]];
}

/** What logs a tool in, wherever it runs: a container has neither our environment nor our .pgpass. */
export async function loginEnv(
  { container }: Pick<Tools, 'container'>,
  connection: ConnectionConfig,
): Promise<Record<string, string>> {
  if (container === undefined) return secretEnv(connection);
  const password = await readPassword(connection);
  return password === undefined ? {} : { PGPASSWORD: password };
}

/**
 * Asks a program in a container for its version.
 * @throws {PgproofError} `tool-missing`: no docker, no such container, or none of it in there.
 */
export async function versionInContainer(container: string, program: string): Promise<{ major: number; text: string }> {
  const [file, args] = dockerExec(container, program, ['--version'], { input: 'data' });
  const { stdout, stderr, exitCode, failed, originalMessage } = await execa(file, args, {
    timeout: 30_000,
    reject: false,
    input: '',
  });
  if (!failed) return parseToolVersion(`docker exec ${container} ${program}`, stdout);
  const said = stderr.trim().split('\n').at(-1) || originalMessage || `exit code ${exitCode}`;
  throw new PgproofError('tool-missing', `no ${program} in the container '${container}': ${said}`, {
    facts: { tool: program, container },
    hint: `Try: docker exec ${container} ${program} --version. The user that runs pgproof must be allowed to use docker; tools.docker names the container.`,
  });
}
