import { expect, test, vi } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import type { DrillResult } from '../../core/report.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { buildReport, startReport } from '../../report/report.ts';
import { backupKey, dumpPrefix, tombstoneKey } from '../../repository/layout.ts';
import { putReport } from '../../repository/reports.ts';
import { Alarms } from '../../wal/alarms.ts';
import { keptWhileWell } from '../../watch/kept.ts';
import { brokenObjectives, runWatch } from '../../watch/watch.ts';
import { dumpIdOf, putDump } from '../dumps/support.ts';
import { bytesOf, era, idOf, putEra, recordOf } from '../repository/support.ts';
import { tempDir } from '../support/temp.ts';
import { openArchive, signal } from '../wal/support.ts';

const hours = 3600;
const at = (time: string): Date => new Date(`2026-11-${time}Z`);

/** A cluster whose server nobody can ask, with an era of 20 November, 10:00. */
async function open(objectives: { backup?: number; dump?: number; proof?: number }): Promise<ProtectedCluster> {
  const { cluster } = await openArchive(tempDir(), { era: false });
  await putEra(cluster.repository);
  return { ...cluster, config: { ...cluster.config, objectives: { rpo: 300, ...objectives } } };
}

async function putBackup({ repository }: ProtectedCluster, number: number, stoppedAt: Date): Promise<void> {
  const record = recordOf(idOf(number), { stoppedAt: stoppedAt.toISOString() });
  const key = backupKey('shop', era, record.id);
  await repository.store.create(key, bytesOf(JSON.stringify({ ...record, signature: null })));
}

async function putDrill(
  cluster: ProtectedCluster,
  finishedAt: Date,
  verdict: DrillResult['verdict'],
  kind: DrillResult['kind'] = 'probe',
): Promise<void> {
  const drill = { verdict, kind, backupId: idOf(1), target: null, reached: null, phases: [], checks: [] };
  const numbers = { rtoSeconds: 1, rpoSeconds: 1, rpoReason: null, targetErrorSeconds: null };
  const order = { operation: 'drill', workflow: null, requestedBy: null, reason: null } as const;
  const report = buildReport(cluster, startReport(order), { status: 'SUCCESS', result: { ...drill, ...numbers } });
  const id = report.id.replace(/^\d{8}T\d{6}/, finishedAt.toISOString().slice(0, 19).replaceAll(/[-:]/g, ''));
  await putReport(cluster.repository, { ...report, id, finishedAt: finishedAt.toISOString() });
}

const broken = async (cluster: ProtectedCluster, now: Date) =>
  (await brokenObjectives(cluster, { signal, now })).map(({ code, facts }) => [code, facts.objective, facts.newest]);

test('the newest backup of the repository counts, and a damaged commit file is none', async () => {
  const cluster = await open({ backup: 24 * hours });
  await putBackup(cluster, 1, at('20T14:05:00'));
  await cluster.repository.store.create(backupKey('shop', era, idOf(2)), bytesOf('{'));
  expect(await broken(cluster, at('21T14:00:00'))).toEqual([]);
  expect(await broken(cluster, at('21T14:06:00'))).toEqual([['objective-broken', 'backup', idOf(1)]]);
  await putBackup(cluster, 3, at('21T14:05:30'));
  expect(await broken(cluster, at('21T14:06:00'))).toEqual([]);
});

test('the newest drill that passed counts, wherever months have gone by; one of an era before it does not', async () => {
  const cluster = await open({ proof: 24 * hours });
  await putDrill(cluster, at('20T09:00:00'), 'passed'); // the era began at 10:00
  await putDrill(cluster, at('21T10:00:00'), 'failed');
  expect(await broken(cluster, at('20T20:00:00'))).toEqual([]);
  expect(await broken(cluster, at('21T11:00:00'))).toEqual([['objective-broken', 'proof', null]]);
  await putDrill(cluster, at('21T10:30:00'), 'passed');
  expect(await broken(cluster, at('21T11:00:00'))).toEqual([]);
  const [[, , newest] = []] = await broken(cluster, at('29T11:00:00'));
  expect(newest).toMatch(/^20261121T103000Z-drill-/);
});

test('the newest dump that holds enough counts, by when it was taken; a drill of a dump proves no backup', async () => {
  const cluster = await open({ dump: 24 * hours, proof: 240 * hours });
  const { repository, keys } = cluster;
  await putDump(repository, keys, dumpIdOf(0), Buffer.from('x')); // 20 November, 02:00
  await putDump(repository, keys, dumpIdOf(1), Buffer.from('x'), { content: 'schema' });
  await putDump(repository, keys, dumpIdOf(2), Buffer.from('x'), {
    importedFrom: '/old/shop.dump',
    startedAt: '2026-01-01T00:00:00.000Z',
  });
  await putDrill(cluster, at('20T12:00:00'), 'passed', 'dump');
  expect(await broken(cluster, at('21T01:59:00'))).toEqual([]);
  expect(await broken(cluster, at('21T02:01:00'))).toEqual([['objective-broken', 'dump', dumpIdOf(0)]]);
  expect((await broken(cluster, at('30T11:00:00'))).map(([, objective]) => objective)).toEqual(['dump', 'proof']);
  await repository.store.create(
    tombstoneKey(dumpPrefix('shop'), dumpIdOf(0), 'aaaaaaaa'),
    bytesOf(tombstone(dumpIdOf(0))),
  );
  expect(await broken(cluster, at('20T12:00:00'))).toEqual([['objective-broken', 'dump', dumpIdOf(2)]]);
});

const tombstone = (id: string): string =>
  JSON.stringify({ formatVersion: 1, id, deletedAt: '2026-11-21T00:00:00.000Z', reason: 'expired' });

test('a repository that cannot be asked is said, by its name', async () => {
  const cluster = await open({});
  const error = new PgproofError('store-unreachable', 'no route');
  const unavailable = [{ name: 'far', error, open: () => Promise.reject(error) }];
  expect(await brokenObjectives({ ...cluster, unavailable }, { signal })).toMatchObject([
    { code: 'store-unreachable', message: expect.stringContaining("'far'"), facts: { repository: 'far' } },
  ]);
});

test('a repository that no copy has reached yet is told to be copied to', async () => {
  const { cluster } = await openArchive(tempDir(), { era: false });
  const hints = async (asked: ProtectedCluster) => (await brokenObjectives(asked, { signal })).map(({ hint }) => hint);
  expect(await hints({ ...cluster, written: [] })).toEqual([expect.stringContaining('pgproof copy shop')]);
  expect(await hints(cluster)).toEqual([expect.stringContaining('pgproof era new shop')]);
});

test('what could not be asked is not told to be mended', async () => {
  const cluster = await open({ backup: 1 });
  const looks = [
    () => Promise.resolve(cluster),
    () => Promise.reject(new PgproofError('store-unreachable', 'no route')),
    () => Promise.resolve({ ...cluster, config: { ...cluster.config, objectives: { rpo: 300, backup: 1e9 } } }),
  ];
  const stop = new AbortController();
  const told: string[] = [];
  const tell = (what: string, { code }: PgproofError): void => void told.push(`${what} ${code}`);
  await runWatch(cluster.config, () => (looks.shift() as (typeof looks)[number])(), {
    signal: stop.signal,
    onAlarm: (alarm) => tell('alarm', alarm),
    onMended: (alarm) => {
      tell('mended', alarm);
      if (looks.length === 0) stop.abort();
    },
  });
  expect(told).toEqual([
    'alarm objective-broken',
    'alarm store-unreachable',
    'mended store-unreachable',
    'mended objective-broken',
  ]);
});

test('what was opened is kept while all is well, and what is found with it counts only once it was opened anew', async () => {
  const found = new Map<number, string[]>();
  let opened = 0;
  const look = keptWhileWell(
    async () => ++opened,
    async (number) => found.get(number) ?? [],
  );
  expect([await look({ signal }), await look({ signal }), opened]).toEqual([[], [], 1]);
  found.set(1, ['the key that it was opened with is another one now']);
  expect([await look({ signal }), await look({ signal }), opened]).toEqual([[], [], 2]);
  found.set(2, ['old']).set(3, ['old']).set(4, ['old']);
  expect([await look({ signal }), await look({ signal }), opened]).toEqual([['old'], ['old'], 4]);
});

test('an alarm that lasts is repeated daily', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    const told: PgproofError[] = [];
    const alarms = new Alarms((alarm) => told.push(alarm), 24 * hours * 1000);
    const alarm = new PgproofError('objective-broken', 'the same');
    for (let minute = 0; minute < 3 * 24 * 60; minute += 10) {
      vi.setSystemTime(minute * 60_000);
      alarms.raise([alarm]);
    }
    expect(told).toHaveLength(3);
  } finally {
    vi.useRealTimers();
  }
});
