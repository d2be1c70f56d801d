import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DefaultLogger, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { workflowBundle } from '../../workers/bundle.ts';
import { installRuntime } from '../../workers/runtime.ts';
import { bundleCache, silent } from '../support/temporal.ts';

/**
 * Histories of released workflows, recorded by test/histories/record.ts from the code that was released. They are only
 * ever added to: a run that began before an upgrade must go on after it (scenario 8).
 */
installRuntime(silent);

const folder = join(import.meta.dirname, '../histories');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

test('there are recorded histories of each workflow, and of runs that failed, waited and were cancelled', () => {
  const names = files.map((name) => name.replace(/-\d+\.\d+\.\d+\.json$/, ''));
  expect(names).toEqual(
    expect.arrayContaining([
      'backup',
      'backup-busy',
      'backup-cancelled',
      'backup-fallback',
      'backup-nowhere',
      'backup-refused',
      'backup-standby',
      'check',
      'check-away',
      'copy',
      'copy-failed',
      'drill',
      'drill-dump',
      'drill-hosts',
      'dump',
      'dump-cancelled',
      'dump-failed',
      'dump-refused',
      'dump-standby',
      'restore',
      'restore-hosts',
      'restore-unplaced',
      'verify',
      'verify-hosts',
      'verify-refused',
      'wal-sync',
      'wal-sync-failed',
    ]),
  );
});

test.each(files)('scenario 8: the history %s still replays', async (file) => {
  const history: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  const options = {
    workflowBundle: await workflowBundle({ cache: bundleCache() }),
    logger: new DefaultLogger('ERROR'),
  };
  await Worker.runReplayHistory(options, history);
});
