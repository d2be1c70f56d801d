import { expect, test } from 'vitest';
import { copyError } from '../../copy/cluster.ts';
import type { CopyResult, CopyTarget } from '../../core/report.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { copyOutcome } from '../../report/copy.ts';
import { renderReport } from '../../report/render.ts';
import { buildReport, startReport } from '../../report/report.ts';

const cluster = {
  name: 'shop',
  host: 'db-7',
  config: { connection: { port: 5432 } },
  repository: { id: '0b1e0f7a-7f0c-4a53-9d3e-2f3d1c1b0a99', location: '/backups' },
} as ProtectedCluster;

const offsite: CopyTarget = {
  to: 'offsite',
  outcome: 'complete',
  seconds: 61.2,
  copied: { objects: 214, bytes: 618_000_000 },
  skipped: { objects: 1290, bytes: 4_100_000_000 },
  backups: ['20261120T140501Z-full-3fa94c1e'],
  dumps: ['20261120T020000Z-logical-3fa94d1e'],
  refused: [],
  refusedObjects: 0,
  notes: [],
  lag: {
    ...{ seconds: 4.2, reason: null, segments: 1, bytes: 161_000, backups: 0, dumps: 0 },
    ...{ from: { timeline: 1, lsn: '0/9000000' }, to: { timeline: 1, lsn: '0/8000000' } },
  },
  error: null,
};

const none = { objects: 0, bytes: 0 };
const gone: CopyTarget = {
  ...offsite,
  ...{ to: 'away', outcome: 'failed', seconds: 0, copied: none, skipped: none, backups: [], dumps: [], lag: null },
  error: { code: 'store-unreachable', message: 'cannot list', hint: null },
};
const damaged: CopyTarget = {
  ...offsite,
  outcome: 'incomplete',
  refusedObjects: 101,
  refused: [
    { key: 'shop/e/wal/x', code: 'object-damaged', message: 'its content does not fit its tag', permanent: true },
  ],
};

const reportOf = (...targets: CopyTarget[]) => {
  const result: CopyResult = { from: 'local', targets };
  const started = startReport({ operation: 'copy', workflow: null, requestedBy: 'ann', reason: null });
  return buildReport(cluster, started, copyOutcome(result, copyError('shop', result)));
};
const text = (...targets: CopyTarget[]) => renderReport(reportOf(...targets));

test('a copy is told by what went where, what was there, and how far it is behind', () => {
  expect(text(offsite)).toContain('COPY DONE: shop');
  for (const line of [
    'copy        local to offsite: complete',
    'copied      214 objects, 618 MB in 1 min 1 s',
    'was there   1290 objects, 4.1 GB',
    'backups     20261120T140501Z-full-3fa94c1e',
    'dumps       20261120T020000Z-logical-3fa94d1e',
    'behind      4.2 s; 1 segment (161 kB), 0 backups, holds WAL up to 0/8000000 on timeline 1',
  ])
    expect(text(offsite)).toContain(line);
  const level = { ...offsite.lag, seconds: 0, segments: 0, bytes: 0 } as CopyTarget['lag'];
  expect(text({ ...offsite, lag: level })).toContain('behind      nothing, holds WAL up to 0/8000000');
  const unknown = { ...offsite.lag, seconds: null, reason: 'this host knows no heartbeat' } as CopyTarget['lag'];
  expect(text({ ...offsite, lag: unknown })).toContain('unknown time: this host knows no heartbeat; 1 segment');
});

test('each target is told of, and one that failed makes the whole FAILED', () => {
  const told = text(offsite, gone);
  expect(told).toContain('COPY FAILED: shop');
  expect(told).toContain('local to offsite: complete');
  expect(told).toContain('local to away: FAILED');
  expect(told).toContain('cannot list [store-unreachable]');
  expect(reportOf(offsite, gone)).toMatchObject({
    status: 'FAILED',
    errorMessage: expect.stringContaining('[copy-incomplete]'),
  });
  expect(reportOf(gone)).toMatchObject({ errorMessage: expect.stringContaining('[store-unreachable]') });
});

test('what was not copied is named, the first hundred of it', () => {
  const told = text(damaged);
  expect(told).toContain('local to offsite: NOT COMPLETE');
  expect(told).toContain('not copied (and 100 more)');
  expect(told).toContain('shop/e/wal/x: its content does not fit its tag');
  expect(reportOf(damaged).errorMessage).toContain('[damage-found]');
});
