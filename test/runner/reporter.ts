import type { Reporter, SerializedError, TestModule } from 'vitest/node';
import { add, none } from './counts.ts';
import { type Results, writeResults } from './results.ts';

/** Counts tests; a file that could not be collected, or whose hooks failed, and an unhandled error are failures, too. */
export default class ResultsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const results: Results = { counts: none, files: {}, failed: [], broken: [] };
    for (const module of modules) addModule(results, module);
    results.broken.push(...unhandled.map((error) => error.message));
    results.counts = add(none, ...Object.values(results.files), { ...none, failed: unhandled.length });
    writeResults(results);
  }
}

function addModule(results: Results, module: TestModule): void {
  const file = module.relativeModuleId;
  const counts = { ...none };
  results.files[file] = counts;
  for (const test of module.children.allTests()) {
    const { state, errors } = test.result();
    if (state === 'passed') counts.passed += 1;
    else if (state !== 'failed') counts.skipped += 1;
    else {
      counts.failed += 1;
      results.failed.push({ file, title: test.fullName, message: errors.map((error) => error.message).join('\n') });
    }
  }
  const suites = [module, ...module.children.allSuites()];
  const broken = suites.flatMap((suite) => suite.errors().map((error) => `${file}: ${error.message}`));
  counts.failed += broken.length;
  results.broken.push(...broken);
}
