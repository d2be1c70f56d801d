import type { Run } from '../support/places.ts';
import { add, type Counts, none } from './counts.ts';
import type { Results } from './results.ts';
import { vitest } from './steps.ts';

/** More than these is no accident. */
const mostFiles = 4;

/**
 * Runs files with failures once more, alone, when PGPROOF_TEST_AGAIN is set, as CI does: a machine that stood still for a
 * moment is no reason to hold up everybody. What failed only once is named as loudly as what failed twice: it is to be mended.
 * @returns the counts with those files' second results in place of the first ones.
 */
export async function again(run: Run, first: Results): Promise<Counts> {
  const files = Object.entries(first.files).flatMap(([file, { failed }]) => (failed > 0 ? [file] : []));
  const inFiles = add(none, ...files.map((file) => first.files[file] as Counts));
  const elsewhere = first.counts.failed - inFiles.failed;
  if (!process.env.PGPROOF_TEST_AGAIN || files.length === 0 || files.length > mostFiles || elsewhere > 0)
    return first.counts;

  console.log(`\n=== once more, alone: ${files.join(' ')}`);
  const second = await vitest(run, ['--maxWorkers=1', ...files]);
  for (const { file, title, message } of first.failed) console.log(`✗ failed at first: ${file} > ${title}\n${message}`);
  for (const message of first.broken) console.log(`✗ failed at first: ${message}`);
  if (second === undefined) return first.counts;
  const { passed, failed, skipped } = first.counts;
  const others = {
    passed: passed - inFiles.passed,
    failed: failed - inFiles.failed,
    skipped: skipped - inFiles.skipped,
  };
  return add(others, second.counts);
}
