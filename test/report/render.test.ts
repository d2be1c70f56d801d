import { expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import type { DrillResult, Report } from '../../core/report.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { renderReport } from '../../report/render.ts';
import { buildReport, failedBy, type Outcome, startReport } from '../../report/report.ts';

const cluster = {
  name: 'shop',
  host: 'db-7',
  config: { connection: { port: 5432 } },
  repository: { id: '0b1e0f7a-7f0c-4a53-9d3e-2f3d1c1b0a99', location: '/backups' },
} as ProtectedCluster;

const drill: DrillResult = {
  verdict: 'passed',
  kind: 'probe',
  backupId: '20261120T140501Z-full-3fa94c1e',
  dump: null,
  target: 'name:pgproof-20261120T150000Z-drill-00000001',
  reachedWal: null,
  reached: 'LSN 0/5000148',
  phases: [
    { name: 'preflight', seconds: 0.2 },
    { name: 'probe', seconds: 0.1 },
    { name: 'archive', seconds: 1.2 },
    { name: 'plan', seconds: 0.3 },
    { name: 'fetch', seconds: 61 },
    { name: 'recover', seconds: 2.5 },
    { name: 'checks', seconds: 0.4 },
  ],
  rtoSeconds: 63.8,
  rpoSeconds: 421.5,
  rpoReason: null,
  targetErrorSeconds: 0.42,
  checks: [
    { name: 'marker-a-present', passed: true, detail: 'the row is there' },
    { name: 'orders', passed: null, detail: 'permission denied for table orders [rights-missing]' },
  ],
  verdictReason: null,
  error: null,
  rpoMeasured: {
    startedAt: '2026-11-20T15:00:00.000Z',
    frontier: '0/5000000',
    heartbeatSequence: 41,
    heartbeatAt: '2026-11-20T14:52:58.500Z',
  },
  objectives: { rpoSeconds: 300, rtoSeconds: 900 },
  fallbacks: [],
  notes: ['removed what the killed drill 20261119T150000Z-drill-00000000 had left'],
};

const made = (operation: Report['operation'], outcome: Outcome): Report =>
  buildReport(
    cluster,
    startReport({ operation, workflow: { workflowId: 'w-1', runId: 'r-1' }, requestedBy: 'ann', reason: null }),
    outcome,
  );

test('a drill is told by its verdict, its RTO by phase, its RPO and how that was measured, its checks, and where to look', () => {
  const report = made('drill', { status: 'SUCCESS', result: drill });
  const text = renderReport(report, { reportFile: '/backups/r.json', temporalUrl: 'http://ui/run' });
  expect(text.split('\n')[0]).toBe('DRILL PASSED: shop');
  expect(text).toContain('1 min 4 s (objective 15 min 0 s: kept)');
  expect(text).toContain('7 min 2 s (objective 5 min 0 s: BROKEN)');
  expect(text).toContain('had the host died at 2026-11-20T15:00:00.000Z');
  expect(text).toContain('heartbeat 41 of 2026-11-20T14:52:58.500Z');
  expect(text).toMatch(/fetch {4,}1 min 1 s/);
  expect(text).toContain('marker-a-present');
  expect(text).toMatch(/could not run {2}orders .*permission denied/);
  expect(text).toContain('killed drill');
  expect(text).toContain('/backups/r.json');
  expect(text).toContain('http://ui/run');
});

test('the phases of the RTO add up to it, and what a real restore would not take stands apart', () => {
  const text = renderReport(made('drill', { status: 'SUCCESS', result: drill }));
  const [counted, others] = text.split('time that a real restore would not take');
  expect(counted).toMatch(/plan .*\n.*fetch .*\n.*recover/);
  expect(others).toMatch(/preflight .*\n.*probe .*\n.*archive .*\n.*checks/);
});

test('a drill that failed says why before anything else', () => {
  const error = { code: 'recovery-failed', message: 'x', facts: { log: ['FATAL:  no'] }, hint: 'Look at the log.' };
  const result = { ...drill, verdict: 'failed', verdictReason: 'marker-b-absent: it is THERE', error };
  const text = renderReport(made('drill', { status: 'FAILED', errorMessage: 'drill failed', result }));
  expect(text.split('\n')[0]).toBe('DRILL FAILED: shop');
  expect(text).toMatch(/why +marker-b-absent/);
  expect(text).toMatch(/what to do +Look at the log\./);
  expect(text).toContain('FATAL:  no');
});

test('an RPO that could not be measured gives its reason', () => {
  const result = { ...drill, rpoSeconds: null, rpoMeasured: null, rpoReason: 'there is no heartbeat' };
  expect(renderReport(made('drill', { status: 'SUCCESS', result }))).toMatch(/not measured\n +there is no heartbeat/);
});

test('a backup is told with its size, what it takes in the repository, and from when on it can be restored', () => {
  const result = {
    id: '20261120T140501Z-full-3fa94c1e',
    type: 'full',
    sizeBytes: 3_800_000_000,
    storedBytes: 613_000_000,
    durationSeconds: 12.3,
    era: '0001-pg18-7000000000000000001',
    timeline: 1,
    startLsn: '0/2000028',
    stopLsn: '0/2000138',
    stoppedAt: '2026-11-20T14:05:13Z',
    cipher: 'none',
    serverVersion: '18.6',
    verifiedFiles: 970,
  };
  const text = renderReport(made('backup', { status: 'SUCCESS', result }));
  expect(text).toContain('BACKUP DONE: shop');
  expect(text).toContain('3.8 GB, stored 613 MB, 16 % of it');
  expect(text).toContain('from 2026-11-20T14:05:13Z on');
  expect(text).toContain('NOT ENCRYPTED, NOT AUTHENTICATED');
});

test('a failure of anything says what to do about it', () => {
  const error = new PgproofError('no-space', 'the repository is full', { hint: 'Make room.' });
  for (const [operation, said] of [
    ['backup', 'FAILED'],
    ['drill', 'INCONCLUSIVE'],
    ['restore', 'FAILED'],
  ] as const) {
    const text = renderReport(made(operation, failedBy(error)));
    expect(text).toContain(`${operation.toUpperCase()} ${said}: shop`);
    expect(text).toMatch(/why +the repository is full \[no-space\]/);
    expect(text).toMatch(/what to do +Make room\./);
    expect(text).toContain('workflow w-1');
  }
});

test('what a person typed steers no terminal', () => {
  const text = renderReport({
    ...made('backup', failedBy(new PgproofError('no-space', 'full'))),
    reason: 'moved\u001b[31m, \u202egnihton',
  });
  expect(text).toContain('moved\\u{1b}[31m, \\u{202e}gnihton');
});

test('a restore ends with the two things that are left to a person', () => {
  const result = {
    planId: '20261120T140501Z-plan-3fa94c1e',
    backupId: '20261120T140501Z-full-3fa94c1e',
    target: '2026-11-20T14:00:00Z',
    reached: { lsn: '0/5000148', lastCommitAt: '2026-11-20T13:59:59Z', reason: 'recovery stopping before commit' },
    dataDir: '/srv/restored',
    phases: [{ name: 'fetch', seconds: 4 }],
    startCommand: 'postgres -D /srv/restored',
    openingStatement: 'ALTER SYSTEM RESET archive_command',
    notes: [],
  };
  const text = renderReport(made('restore', { status: 'SUCCESS', result }));
  expect(text).toContain('RESTORE DONE: shop');
  expect(text).toContain('LSN 0/5000148, newest commit 2026-11-20T13:59:59Z');
  expect(text).toContain('postgres -D /srv/restored');
  // Run beside the old server it would archive into the old server's spool, so the text says when.
  expect(text).toMatch(/stopped for good\n +ALTER SYSTEM RESET archive_command/);
});
