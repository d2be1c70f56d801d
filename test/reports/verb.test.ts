import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { limit, operationList, rangeOf, statusList } from '../../client/reports-options.ts';
import type { Report } from '../../core/report.ts';
import { reportKey } from '../../repository/layout.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { type Failed, pgproof } from '../client/cli.ts';
import { reportOf, sinkTo, startPlatform } from '../sink/support.ts';
import { type Cluster, majors } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { fileReports } from './support.ts';

const connection = { socket: '/nonexistent' };

async function shopWith(more: object, ...reports: Report[]): Promise<{ config: string; repository: Repository }> {
  const folder = tempDir();
  const repository = await initRepository('local', { type: 'file', path: join(folder, 'repository') });
  await fileReports(repository, ...reports);
  const config = join(folder, 'pgproof.yaml');
  const document = {
    hosts: { 'db-7': {} },
    repositories: { local: repository.config, offsite: { type: 'file', path: join(folder, 'offsite') } },
    clusters: {
      shop: { host: 'db-7', connection, repositories: ['local', 'offsite'] },
      till: { host: 'db-8', connection, repositories: ['offsite'] },
    },
    ...more,
  };
  writeFileSync(config, stringify({ ...document, hosts: { 'db-7': {}, 'db-8': {} } }));
  return { config, repository };
}

const reports = [reportOf({ at: '20261120T140502Z' }), reportOf({ at: '20261120T140501Z', status: 'FAILED' })];

/** Whatever the clock of this machine says. */
const until = ['--until', '2027-01-01T00:00:00Z'];

test('any machine with the configuration lists reports, as one document; what is away is said', async () => {
  const { config } = await shopWith({}, ...reports);
  const { code, json } = await pgproof(['reports', 'shop', '--limit', '1', ...until, '--config', config]);
  expect({ code, json }).toMatchObject({
    code: 0,
    json: {
      reports: [{ ...reports[0], state: 'whole', repository: 'local' }],
      next: reports[0]?.id,
      away: [{ repository: 'offsite', clusters: ['shop'], error: { code: 'repository-missing' } }],
      unknown: [],
    },
  });
});

test('a cluster of which no repository answers is no cluster without reports: exit 1', async () => {
  const { config } = await shopWith({}, ...reports);
  const { code, json } = await pgproof(['reports', '--status', 'failed', ...until, '--config', config]);
  expect({ code, json }).toMatchObject({ code: 1, json: { reports: [{ id: reports[1]?.id }], unknown: ['till'] } });
});

test('one report in full by the beginning of its id; one that is damaged by its error, exit 3', async () => {
  const { config, repository } = await shopWith({}, ...reports);
  const found = await pgproof(['reports', 'shop', '--id', '20261120T140502', '--config', config]);
  expect(found).toMatchObject({ code: 0, json: { ...reports[0], reportFile: expect.stringContaining('.json') } });
  const several = await pgproof(['reports', 'shop', '--id', '20261120', '--config', config]);
  expect((several.json as Failed).error.code).toBe('report-ambiguous');
  const none = await pgproof(['reports', 'shop', '--id', '20251120', '--config', config]);
  expect((none.json as Failed).error.code).toBe('report-missing');
  writeFileSync(join(repository.location, reportKey('shop', reports[1]?.id as string)), 'x');
  const damaged = await pgproof(['reports', 'shop', '--id', '20261120T140501', '--config', config]);
  expect(damaged).toMatchObject({ code: 3, json: { error: { code: 'record-invalid' } } });
  expect((await pgproof(['reports', 'shop', ...until, '--config', config])).code).toBe(3);
});

test('without a sink in the configuration nothing can be sent', async () => {
  const { config } = await shopWith({});
  const { code, json } = await pgproof(['reports', 'shop', '--send', '--config', config]);
  expect({ code, json }).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
});

test.each([
  [{ since: '2026-11-20 14:05' }, "--since has '2026-11-20 14:05'"],
  [{ until: 'latest' }, "--until has 'latest'"],
  [{ since: '1d', until: '2d' }, "--since has '1d'"],
  [{ before: '2026' }, "--before has '2026'"],
  [{ id: '2026112' }, "--id has '2026112'"],
])('%j is refused with option and value', (options, message) => {
  expect(() => rangeOf(options, new Date())).toThrow(message);
});

test.each([
  [() => operationList('backup,backups'), "'backups' is none of backup, dump"],
  [() => statusList('ok'), "'ok' is none of success, failed, cancelled"],
  [() => limit('0'), 'from 1 to 1000'],
])('a word that is no operation, no status or no number of rows is refused', (read, message) => {
  expect(read).toThrow(message);
});

test('times become bounds of ids; the nearer end of a page and of --until counts', () => {
  const now = new Date('2026-11-20T14:05:01Z');
  expect(rangeOf({ since: '7d', until: '2026-11-20 14:00+08:00' }, now)).toMatchObject({
    since: '20261113T140501Z',
    before: '20261120T060000Z',
  });
  const cursor = '20261119T000000Z-backup-00000000';
  expect(rangeOf({ until: '0s', before: cursor }, now).before).toBe(cursor);
  expect(rangeOf({ until: '3d', before: cursor }, now).before).toBe('20261117T140501Z');
  expect(operationList('walSync,wal-sync,drill')).toEqual(new Set(['wal-sync', 'drill']));
});

let server: Cluster;
beforeAll(async () => {
  server = await startPlatform(majors[0] as string);
});
afterAll(() => server.dispose());

test('reports from before the sink was configured are sent on wish, as many rows as runs', async () => {
  const { outbox: _, onUnqueued: __, unqueued: ___, ...reportSink } = sinkTo(server);
  const retried = reportOf({ at: '20261120T140500Z', run: '20261120T140502Z', status: 'FAILED' });
  const { config } = await shopWith({ reportSink }, ...reports, retried);
  const sent = await pgproof(['reports', 'shop', '--send', '--limit', '1', ...until, '--config', config]);
  expect(sent).toMatchObject({ code: 0, json: { table: 'db_backup_job', sent: 2, damaged: 0 } });
  const rows = await server.sql('SELECT report_id, status FROM db_backup_job ORDER BY 1 DESC', [], 'platform');
  expect(rows).toEqual(reports.map(({ id, status }) => ({ report_id: id, status })));
});
