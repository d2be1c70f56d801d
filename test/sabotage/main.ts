import { onInterrupt } from '../runner/child.ts';
import { type Counts, none, print } from '../runner/counts.ts';
import { killLeftovers } from '../runner/leftovers.ts';
import { endRun } from '../support/places.ts';
import { type Patch, readPatches } from './patches.ts';
import { type Copy, copyOf, runs, sabotage } from './sabotage.ts';

/**
 * npm run sabotage [-- NAME]: every patch must turn the test it names red, or the test proves nothing. A sabotage that
 * is noticed counts as passed; having none at all is a failure.
 */
const AT_ONCE = 3; // most of them wait more than they work
const root = process.cwd();
const [wanted = ''] = process.argv.slice(2);
const waiting = readPatches(root).filter((patch) => patch.name.includes(wanted));
const counts: Counts = { ...none };
onInterrupt(() => {
  for (const run of runs) {
    killLeftovers(run);
    endRun(run);
  }
});

if (waiting.length === 0) {
  console.log(`✗ no sabotage is called '${wanted}' in test/sabotage`);
  counts.failed = 1;
}
await Promise.all(Array.from({ length: AT_ONCE }, work));
print(counts);
process.exitCode = counts.failed > 0 ? 1 : 0;

async function work(): Promise<void> {
  if (waiting.length === 0) return;
  const copy = await copyOf(root);
  for (let patch = waiting.shift(); patch !== undefined; patch = waiting.shift()) await attempt(copy, patch);
  copy.dispose();
}

async function attempt(copy: Copy, patch: Patch): Promise<void> {
  const started = Date.now();
  const missed = await sabotage(copy, patch).catch((error) => String(error));
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  counts[missed === undefined ? 'passed' : 'failed'] += 1;
  console.log(`${missed === undefined ? '✓' : '✗'} ${patch.name}: ${patch.invariant} (${seconds} s)`);
  if (missed !== undefined) console.log(`  ${missed.replaceAll('\n', '\n  ')}`);
}
