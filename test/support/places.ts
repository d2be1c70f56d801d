import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The folder of this whole test run; test/support/global.ts or test/runner made it. All that is temporary lies below
 * it, so it can be attributed, and is found when a test forgets it. Short: socket paths end at 107 bytes.
 */
export function runDir(): string {
  const dir = process.env.PGPROOF_TEST_RUN;
  if (!dir) throw new Error('no test run was started: run vitest with this project’s vitest.config.ts');
  return dir;
}

/** A run: its folder's name in a process's environment marks the process (found again in /proc/PID/environ). */
export type Run = { dir: string; env: { PGPROOF_TEST_RUN: string; TMPDIR: string } };

export function startRun(): Run {
  const dir = mkdtempSync('/tmp/pgp-');
  const shared = join(dir, 'run');
  mkdirSync(shared);
  return { dir, env: { PGPROOF_TEST_RUN: dir, TMPDIR: shared } };
}

export function endRun(run: Run): void {
  rmSync(run.dir, { recursive: true, force: true, maxRetries: 5 });
}

/** Gives one test file its own TMPDIR below the run; the folder's name is the marker of the file's processes. */
export function startFile(): string {
  const dir = mkdtempSync(`${runDir()}/`);
  process.env.TMPDIR = dir;
  return dir;
}
