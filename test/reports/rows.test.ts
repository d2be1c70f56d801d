import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Report } from '../../core/report.ts';
import { reportKey } from '../../repository/layout.ts';
import type { AwayRepositories, ReportEntry } from '../../repository/report-entries.ts';
import { pageOfReports, type ReportPage, type RowsAsked } from '../../repository/report-rows.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { reportOf } from '../sink/support.ts';
import { tempDir } from '../support/temp.ts';
import { fileReports, generatedRepository } from './support.ts';

let near: Repository;
let far: Repository;
let away: AwayRepositories;

beforeEach(async () => {
  const folder = tempDir();
  near = await initRepository('near', { type: 'file', path: join(folder, 'near') });
  far = await initRepository('far', { type: 'file', path: join(folder, 'far') });
  away = new Map();
});

const page = (asked: RowsAsked = {}, limit = 20, clusters = ['shop']): Promise<ReportPage> =>
  pageOfReports(
    clusters.map((cluster) => ({ cluster, repositories: [near, far] })),
    { before: '20270101T000000Z', ...asked }, // whatever the clock of this machine says
    limit,
    { signal: new AbortController().signal, away },
  );
const idsOf = ({ rows }: { rows: ReportEntry[] }): string[] => rows.map(({ id }) => id);
const fileOf = ({ location }: Repository, { cluster, id }: Report): string => join(location, reportKey(cluster, id));

test('reports of several clusters, months and repositories are one list, newest first, each once', async () => {
  const reports = [
    reportOf({ at: '20261120T140502Z' }),
    reportOf({ at: '20261120T140501Z', cluster: 'till' }),
    reportOf({ at: '20261031T235959Z', operation: 'walSync' }),
    reportOf({ at: '20251231T120000Z', operation: 'drill' }),
  ] as const;
  await fileReports(near, reports[0], reports[1], reports[3]);
  await fileReports(far, reports[2], reports[0]);
  const found = await page({}, 20, ['shop', 'till']);
  expect(found.rows.map((row) => row.state === 'whole' && row.report)).toEqual(reports);
  expect(found.rows.map(({ repository }) => repository)).toEqual(['near', 'near', 'far', 'near']);
  expect(found.next).toBeNull();
});

test('pages follow each other without a gap and without a row twice', async () => {
  const reports = Array.from({ length: 7 }, (_, index) =>
    reportOf({ at: `2026${10 + (index % 3)}0${index + 1}T140501Z` }),
  );
  await fileReports(near, ...reports);
  const seen: string[] = [];
  let before: string | undefined;
  for (;;) {
    const { rows, next } = await page({ before: before ?? '20270101T000000Z' }, 2);
    seen.push(...rows.map(({ id }) => id));
    if (next === null) break;
    before = next;
  }
  expect(seen).toEqual(
    reports
      .map(({ id }) => id)
      .sort()
      .reverse(),
  );
});

test('filters: by operation, by status, from a time on and up to one', async () => {
  const failed = reportOf({ at: '20261120T140502Z', status: 'FAILED' });
  const sync = reportOf({ at: '20261120T140503Z', operation: 'walSync' });
  const older = reportOf({ at: '20260920T140501Z' });
  await fileReports(near, failed, sync, older);
  expect(idsOf(await page({ kinds: new Set(['wal-sync']) }))).toEqual([sync.id]);
  expect(idsOf(await page({ statuses: new Set(['FAILED', 'CANCELLED']) }))).toEqual([failed.id]);
  expect(idsOf(await page({ since: '20260920T140502Z', before: '20261120T140503Z' }))).toEqual([failed.id]);
  expect(idsOf(await page({ since: '20260920T140501Z' }))).toEqual([sync.id, failed.id, older.id]);
});

test('of a run its last attempt is the row, unless each attempt is asked for', async () => {
  const first = reportOf({ at: '20261120T140501Z', run: 'r', status: 'FAILED' });
  const second = reportOf({ at: '20261120T141501Z', run: 'r' });
  await fileReports(near, first);
  await fileReports(far, second);
  expect(idsOf(await page())).toEqual([second.id]);
  expect(idsOf(await page({ statuses: new Set(['FAILED']) }))).toEqual([]);
  expect(idsOf(await page({ attempts: true }))).toEqual([second.id, first.id]);
});

test('an attempt that was overtaken is no row on a later page either', async () => {
  const first = reportOf({ at: '20261031T235959Z', run: 'r', status: 'FAILED' });
  const other = reportOf({ at: '20261031T235958Z', status: 'FAILED' });
  const second = reportOf({ at: '20261101T000001Z', run: 'r' });
  await fileReports(near, first, other, second);
  const start = await page({}, 1);
  expect(idsOf(start)).toEqual([second.id]);
  expect(idsOf(await page({ before: start.next as string }))).toEqual([other.id]);
});

test('a report that is damaged is a row that says so, and the others follow; a whole one elsewhere takes its place', async () => {
  const reports = ['20261120T140501Z', '20261120T140502Z', '20261120T140503Z'].map((at) => reportOf({ at }));
  const [oldest, damaged, healed] = reports as [Report, Report, Report];
  await fileReports(near, ...reports);
  await fileReports(far, healed);
  writeFileSync(fileOf(near, damaged), '{"formatVersion": 1, "id"');
  writeFileSync(fileOf(near, healed), '');
  const { rows } = await page({ statuses: new Set(['SUCCESS']) });
  expect(rows).toMatchObject([
    { id: healed.id, state: 'whole', repository: 'far' },
    { id: damaged.id, state: 'damaged', error: { code: 'record-invalid' } },
    { id: oldest.id, state: 'whole' },
  ]);
});

test('a report under the name of another is damaged', async () => {
  const [one, other] = [reportOf({ at: '20261120T140501Z' }), reportOf({ at: '20261120T140502Z' })];
  await fileReports(near, one, other);
  renameSync(fileOf(near, other), fileOf(near, one));
  expect((await page()).rows).toMatchObject([{ id: one.id, state: 'damaged' }]);
});

test('a repository that is away is said, and the others answer', async () => {
  const [one, other] = [reportOf({ at: '20261120T140501Z' }), reportOf({ at: '20261120T140502Z' })];
  await fileReports(near, one);
  await fileReports(far, other);
  expect(idsOf(await page())).toEqual([other.id, one.id]); // the stores know their folders now
  renameSync(near.location, `${near.location}.away`);
  expect(idsOf(await page())).toEqual([other.id]);
  expect([...away]).toMatchObject([['near', { code: 'store-unreachable' }]]);
});

test('more reports than are held at once, all of one month: none is left out, none comes twice', async () => {
  const source = { cluster: 'shop', repositories: [generatedRepository(2000)] };
  const { rows } = await pageOfReports([source], { before: '20270101T000000Z' }, 3000, {
    signal: new AbortController().signal,
    away,
  });
  const ids = rows.map(({ id }) => id);
  expect(ids).toHaveLength(2000);
  expect(ids).toEqual([...new Set(ids)].sort().reverse());
});
