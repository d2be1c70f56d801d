import { endRun, startRun } from '../support/places.ts';
import { again } from './again.ts';
import { onInterrupt } from './child.ts';
import { add, none, oneFailed, print } from './counts.ts';
import { killLeftovers, leftovers } from './leftovers.ts';
import { arrows, lint, types, vitest } from './steps.ts';

/** npm test, after setup: the checks, then vitest; what they leave behind counts as a failure. Arguments go to vitest. */
const vitestArgs = process.argv.slice(2);
const run = startRun();
onInterrupt(() => {
  killLeftovers(run);
  endRun(run);
});

let counts = none;
try {
  if (vitestArgs.length === 0) counts = add(await types(run), await lint(run), await arrows(run));
  const results = await vitest(run, vitestArgs);
  counts = add(counts, results === undefined ? oneFailed : await again(run, results), leftovers(run));
} finally {
  endRun(run);
}
print(counts);
process.exitCode = counts.failed > 0 ? 1 : 0;
