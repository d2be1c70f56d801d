import type { Reporter, SerializedError, TestModule } from 'vitest/node';
import { type Results, writeResults } from './results.ts';

/** Counts tests; a file that could not be collected, or whose hooks failed, and an unhandled error are failures, too. */
export default class ResultsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const results: Results = { counts: { passed: 0, failed: 0, skipped: 0 }, failed: [], broken: [] };
    for (const module of modules) addModule(results, module);
    results.broken.push(...unhandled.map((error) => error.message));
    results.counts.failed = results.failed.length + results.broken.length;
    writeResults(results);
  }
}

function addModule(results: Results, module: TestModule): void {
  const file = module.relativeModuleId;
  for (const test of module.children.allTests()) {
    const { state, errors } = test.result();
    if (state === 'passed') results.counts.passed += 1;
    else if (state !== 'failed') results.counts.skipped += 1;
    else results.failed.push({ file, title: test.fullName, message: errors.map((error) => error.message).join('\n') });
  }
  const suites = [module, ...module.children.allSuites()];
  results.broken.push(...suites.flatMap((suite) => suite.errors().map((error) => `${file}: ${error.message}`)));
}
