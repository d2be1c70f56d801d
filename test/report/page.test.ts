import { describe, expect, test } from 'vitest';
import type { DrillResult, Report } from '../../core/report.ts';
import { drillPage } from '../../report/page.ts';

const probe: DrillResult = {
  verdict: 'passed',
  kind: 'probe',
  backupId: '20261120T020000Z-full-3fa94c1e',
  dump: null,
  target: 'name:pgproof-20261121T140501Z-drill-3fa94c1e',
  reached: 'at restore point "pgproof-20261121T140501Z-drill-3fa94c1e"',
  reachedWal: null,
  phases: [
    { name: 'preflight', seconds: 1 },
    { name: 'fetch', seconds: 280 },
    { name: 'verify', seconds: 20 },
    { name: 'recover', seconds: 30 },
    { name: 'checks', seconds: 2 },
  ],
  rtoSeconds: 330,
  rpoSeconds: 12,
  rpoReason: null,
  targetErrorSeconds: 1,
  checks: [
    { name: 'marker-a-present', passed: true, detail: 'the row written before the restore point is there' },
    { name: 'marker-b-absent', passed: true, detail: 'the row written after the restore point is not there' },
  ],
  verdictReason: null,
  error: null,
  rpoMeasured: null,
  objectives: { rpoSeconds: 60, rtoSeconds: 300 },
  notes: [],
  fallbacks: [],
};

const report = (result: Record<string, unknown>, changes: Partial<Report> = {}): Report => ({
  formatVersion: 1,
  id: '20261121T140501Z-drill-3fa94c1e',
  uuid: '0a6f3f3e-6d1c-5d1e-9a3b-0d7a4a3b2c1d',
  operation: 'drill',
  cluster: 'shop',
  host: 'db-7',
  port: 5432,
  database: null,
  startedAt: '2026-11-21T14:05:01.000Z',
  finishedAt: '2026-11-21T14:11:01.000Z',
  durationSeconds: 360,
  mode: 'probe',
  tool: 'pgproof',
  status: 'SUCCESS',
  errorMessage: null,
  local: { file: null, globalsFile: null, checksumSha256: null, sizeBytes: null },
  remote: { urls: [] },
  workflowId: null,
  runId: null,
  requestedBy: 'ann',
  reason: null,
  result,
  ...changes,
});

describe('the page of a drill', () => {
  test('of a probe has base backup and target, the rows, and how long backup, WAL and both took', () => {
    const page = drillPage(report(probe)) as string;
    const facts = [
      '| Operator | ann |',
      '| Base backup | 20261120T020000Z-full-3fa94c1e |',
      '| Restore duration (RTO) | 5 min 30 s (objective 5 min 0 s: BROKEN) |',
      '| of it: base backup | 5 min 0 s |',
      '| of it: WAL replay | 30 s |',
      '| marker-a-present | yes |',
      '| marker-b-absent | yes |',
      'PASSED',
    ];
    for (const fact of facts) expect(page).toContain(fact);
  });

  test('of one that ended before it began says that nothing was proven', () => {
    const ended = report(
      { kind: 'probe', verdict: 'inconclusive' },
      { status: 'FAILED', errorMessage: 'there is no backup of shop yet [backup-missing]' },
    );
    expect(drillPage(ended)).toMatch(/INCONCLUSIVE[\s\S]*there is no backup of shop yet/);
  });

  test('takes nothing that people typed for a cell, a tag or a link', () => {
    const typed = report(probe, { reason: 'a | b\n# c <script> [d](http://e)' });
    const line = (drillPage(typed) as string).split('\n').find((each) => each.startsWith('| Reason'));
    expect(line).toBe('| Reason | a \\| b # c \\<script\\> \\[d\\](http://e) |');
  });

  test('is made of drills only', () => {
    expect(drillPage(report({}, { operation: 'backup' }))).toBeNull();
  });
});
