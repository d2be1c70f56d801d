import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { PgproofError } from '../core/errors.ts';

/**
 * The command, changed so that Linux sends `signal` to it when this process ends in whatever way, SIGKILL included: no
 * server of ours, and no tool that still writes, outlives us. setpriv sets it and becomes the program, so the process id is
 * the program's own. Source: prctl(2), PR_SET_PDEATHSIG.
 *
 * The kernel watches the thread that started the program; call this from the main thread only.
 * @throws {PgproofError} `tool-missing` without util-linux's setpriv.
 */
export function dyingWithUs(
  signal: 'KILL' | 'QUIT' | 'TERM',
  file: string,
  args: readonly string[],
): [string, string[]] {
  return [findSetpriv(), ['--pdeathsig', signal, '--', file, ...args]];
}

function findSetpriv(): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin'];
  const found = folders.map((folder) => join(folder, 'setpriv')).find(isExecutable);
  if (found !== undefined) return found;
  throw new PgproofError('tool-missing', "there is no 'setpriv', which ties what pgproof starts to its own life", {
    facts: { tool: 'setpriv' },
    hint: 'Install the package util-linux.',
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not here: the next folder is asked
  }
}
