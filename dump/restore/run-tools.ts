import type { ConnectionConfig } from '../../core/config.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { Clients } from '../../postgres/clients.ts';
import { loginEnv } from '../../postgres/docker.ts';
import { longestSeconds, spawnTool } from '../../postgres/run.ts';
import { feed } from './feed.ts';

/** Of a restore that goes wrong from its first statement on, the first are enough. */
const keptErrors = 50;

type Take = (chunk: Buffer) => Promise<void>;

/**
 * Runs pg_restore or psql to its end. An error of a single statement is an error of the restore.
 * @param read its input; null: it has none. It is read to its end, so that it is proven.
 * @throws {PgproofError} `dump-restore-failed` with the first errors; what `read` throws.
 */
export async function runRestorer(
  tools: Clients,
  name: 'pg_restore' | 'psql',
  args: readonly string[],
  connection: ConnectionConfig,
  read: ((take: Take, run: Run) => Promise<void>) | null,
  run: Run,
): Promise<void> {
  const errors = new ErrorLines();
  const tool = spawnTool(tools, name, args, {
    signal: run.signal,
    timeoutSeconds: longestSeconds,
    env: await loginEnv(tools, connection),
    input: read !== null,
    onStderr: (text) => errors.take(text),
  });
  tool.stdout.resume(); // what SELECT answers is of no interest
  try {
    if (read === null) await tool.ended;
    else await feed(tool, read, run, { whole: true });
  } catch (error) {
    throw failure(name, error, errors);
  }
}

function failure(name: string, error: unknown, errors: ErrorLines): unknown {
  if (!hasCode(error, 'tool-failed')) return error;
  const [first] = errors.lines;
  const more = errors.count > 1 ? ` (and ${errors.count - 1} more)` : '';
  return new PgproofError('dump-restore-failed', `${name} failed: ${first ?? error.message}${more}`, {
    facts: { tool: name, exitCode: error.facts.exitCode ?? null, errors: errors.lines, errorCount: errors.count },
    cause: error,
  });
}

/** Lines that tell of an error, without the statements that they quote. */
class ErrorLines {
  readonly lines: string[] = [];
  count = 0;
  #rest = '';

  take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() as string).slice(0, 10_000);
    for (const line of lines) {
      if (!/(?:error|fatal|could not|restricted): |^backslash commands|^invalid command/i.test(line)) continue;
      this.count += 1;
      if (this.lines.length < keptErrors) this.lines.push(line.trim().slice(0, 500));
    }
  }
}
