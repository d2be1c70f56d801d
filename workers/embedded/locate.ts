import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { PgproofError } from '../../core/errors.ts';

/** The Temporal CLI that pgproof is tested with. */
const pinned = '1.5.1';

/**
 * The Temporal CLI's path: the pinned version in a cache, then PATH. Only looks; `pgproof demo` installs.
 * @throws {PgproofError} `tool-missing`, with the line that installs it.
 */
export function locateTemporal(env: NodeJS.ProcessEnv): string {
  const cached = cacheFolders(env).map((folder) => join(folder, 'temporal', pinned, 'temporal'));
  const onPath = (env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'temporal'));
  const found = [...cached, ...onPath].find(isExecutable);
  if (found !== undefined) return found;
  throw new PgproofError('tool-missing', `the Temporal server (temporal ${pinned}) is not installed`, {
    facts: { tool: 'temporal', version: pinned, looked: cached },
    hint: `Run 'pgproof demo' once, which installs it, or 'go install github.com/temporalio/cli/cmd/temporal@v${pinned}' and put it on PATH, or set TEMPORAL_ADDRESS to a server of your own.`,
  });
}

function cacheFolders(env: NodeJS.ProcessEnv): string[] {
  const own = env.PGPROOF_CACHE ?? join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pgproof');
  return [own, '/var/cache/pgproof'];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
