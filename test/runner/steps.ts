import { delimiter, join } from 'node:path';
import { toolFolders } from '../../setup/locate.ts';
import type { Run } from '../support/places.ts';
import { child } from './child.ts';
import { type Counts, oneFailed, onePassed } from './counts.ts';
import { forgetResults, type Results, readResults } from './results.ts';

const binOf = (name: string) => join('node_modules/.bin', name);

export const types = (run: Run) => check(run, 'types', binOf('tsc'), ['--noEmit', '--pretty', 'false']);
export const lint = (run: Run) => check(run, 'lint', binOf('biome'), ['check', '--error-on-warnings', '--colors=off']);
export const arrows = (run: Run) => check(run, 'arrows', process.execPath, ['test/arrows/main.ts']);

/**
 * vitest with its own output; the counts come from test/runner/reporter.ts through a file in the run's folder.
 * @returns undefined when it did not get as far as running tests; it said why.
 */
export async function vitest(run: Run, args: string[]): Promise<Results | undefined> {
  forgetResults(run);
  const { code } = await child(process.execPath, vitestArgs(args), { env: vitestEnv(run), show: true });
  const results = readResults(run);
  // Red without a failed test: a global hook.
  if (results !== undefined && code !== 0 && results.counts.failed === 0) results.counts.failed = 1;
  return results;
}

/** The checkout may belong to somebody else, so the configuration is loaded without a bundle beside it. */
export function vitestArgs(args: string[]): string[] {
  const reporters = ['--reporter=default', '--reporter=./test/runner/reporter.ts'];
  return ['node_modules/vitest/vitest.mjs', 'run', '--configLoader=native', ...reporters, ...args];
}

export function vitestEnv(run: Run): NodeJS.ProcessEnv {
  const path = [process.env.PATH, ...toolFolders()].join(delimiter);
  // vitest keeps a token in the user's data folder, for a server that is not started here.
  return { ...process.env, ...run.env, PATH: path, XDG_DATA_HOME: run.dir };
}

async function check(run: Run, name: string, program: string, args: string[]): Promise<Counts> {
  const started = Date.now();
  const env = { ...process.env, XDG_CACHE_HOME: run.dir }; // Biome leaves a cache behind
  const { code, output } = await child(program, args, { env });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${code === 0 ? '✓' : '✗'} ${name} (${seconds} s)`);
  if (code === 0) return onePassed;
  console.log(output);
  return oneFailed;
}
