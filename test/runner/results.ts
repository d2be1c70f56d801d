import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../support/places.ts';
import type { Counts } from './counts.ts';

/** What one run of vitest came to: its process ends with no more than an exit code. */
export type Results = {
  counts: Counts;
  /** The same by file; what failed outside of every file is in `broken` alone. */
  files: Record<string, Counts>;
  /** Tests that failed by themselves. */
  failed: { file: string; title: string; message: string }[];
  /** What failed outside a test: files that cannot be loaded, hooks, unhandled errors. */
  broken: string[];
};

const fileOf = (dir: string) => join(dir, 'results.json');

export function readResults(run: Run): Results | undefined {
  const file = fileOf(run.dir);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

export function writeResults(results: Results): void {
  if (process.env.PGPROOF_TEST_RUN) writeFileSync(fileOf(process.env.PGPROOF_TEST_RUN), JSON.stringify(results));
}

/** So that what a second run of vitest leaves is its own. */
export function forgetResults(run: Run): void {
  rmSync(fileOf(run.dir), { force: true });
}
