import { endRun, startRun } from './places.ts';

/** Runs once around all test files. Under test/runner the run exists already, and the runner looks for what is left. */
export default function setup(): (() => void) | undefined {
  if (process.env.PGPROOF_TEST_RUN) return undefined;
  const run = startRun();
  Object.assign(process.env, run.env);
  return () => endRun(run);
}
