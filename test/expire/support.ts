import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type * as z from 'zod';
import type { retention } from '../../core/config/retention.ts';
import type { ExpiredRepository } from '../../core/expired.ts';
import { compactTime } from '../../core/ids.ts';
import { formatLsn } from '../../core/lsn.ts';
import type { DrillResult } from '../../core/report.ts';
import { segmentName } from '../../core/segment.ts';
import { expireRepository } from '../../expire/repository.ts';
import { clusterPaths } from '../../host/cluster.ts';
import { parseConfig } from '../../host/config.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { drillOutcome } from '../../report/drill.ts';
import { buildReport, startReport } from '../../report/report.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { commitBackup } from '../../repository/commit.ts';
import { basePrefix } from '../../repository/layout.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { putReport } from '../../repository/reports.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { listWal, putSegment } from '../../repository/wal.ts';
import { both, era, cluster as name, newKeys, putEra, recordOf } from '../repository/support.ts';
import { withRepositories } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';

/*
 * A cluster of one backup a day, whose day of WAL is three small segments, in a repository of this machine. Nothing of it is a database:
 * retention never asks one.
 */

export const segmentBytes = 1 << 20;
export const dayMs = 86_400_000;
const perDay = 3;

export type Retention = z.input<typeof retention>;

export type Stage = { cluster: ProtectedCluster; backups: BackupRecord[]; end: number };

/** @param options.days how many backups; the newest was made an hour ago. */
export async function openStage(
  rules: Retention,
  options: { days?: number; parents?: Record<number, number> } = {},
): Promise<Stage> {
  const { days = 10, parents = {} } = options;
  const keys = await newKeys();
  const repository = await initRepository('local', { type: 'file', path: join(tempDir('local'), 'r') });
  await putEra(repository, { segmentBytes, keyId: keys.current?.id ?? null });
  const cluster = clusterOf(repository, keys, rules);
  const stage: Stage = { cluster, backups: [], end: Date.now() - 3_600_000 };
  for (let day = 1; day <= days; day += 1) {
    const parent = parents[day] === undefined ? null : (stage.backups[(parents[day] as number) - 1]?.id ?? null);
    stage.backups.push(await oneDay(stage, day, stage.end - (days - day) * dayMs, parent));
  }
  return stage;
}

export function clusterOf(repository: Repository, keys: ProtectedCluster['keys'], rules: Retention): ProtectedCluster {
  const text = JSON.stringify({
    hosts: { 'db-7': {} },
    repositories: { local: { type: 'file', path: '/var/lib/pgproof' } },
    clusters: { shop: { host: 'db-7', connection: { socket: '/run' }, repositories: ['local'], retention: rules } },
  });
  const config = parseConfig('pgproof.yaml', text).clusters.shop!;
  const paths = clusterPaths(tempDir('state'), name);
  return {
    name,
    fleet: 'main',
    host: 'db-7',
    config,
    ...withRepositories([repository]),
    ...both(keys),
    paths,
  } as ProtectedCluster;
}

export const segment = (number: number) => segmentName(1, BigInt(number), segmentBytes);

async function oneDay({ cluster }: Stage, day: number, at: number, parent: string | null): Promise<BackupRecord> {
  const { repository, keys } = cluster;
  const first = day * perDay;
  for (let number = first; number < first + perDay; number += 1)
    await putSegment(repository, keys, name, era, segment(number), Buffer.alloc(1000, number));
  const type = parent === null ? 'full' : 'incremental';
  const id = `${compactTime(new Date(at))}-${parent === null ? 'full' : 'incr'}-${day.toString(16).padStart(8, '0')}`;
  const part = async (file: string) => {
    const key = `${basePrefix(name, era, id)}${file}`;
    const content = Buffer.from(`${file} of ${id}`);
    await repository.store.create(key, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { key, storedBytes: content.length, plainBytes: content.length, sha256 };
  };
  const record = recordOf(id, {
    type,
    parent,
    segmentBytes,
    startLsn: formatLsn(BigInt(first * segmentBytes + 40)),
    stopLsn: formatLsn(BigInt((first + 1) * segmentBytes + 312)),
    stoppedAt: new Date(at).toISOString(),
    tablespaces: [
      { name: 'pgdata', path: null, parts: [await part('pgdata.1.tar.zst'), await part('pgdata.2.tar.zst')] },
    ],
    manifest: await part('backup_manifest.zst'),
    keyId: keys.current?.id ?? null,
  });
  return commitBackup(repository, keys, record);
}

/** The report of a drill that passed on this day's backup. @param upTo the number of the last segment that it replayed; null: it does not say. */
export async function prove({ cluster, backups }: Stage, day: number, upTo: number | null): Promise<void> {
  const order = { operation: 'drill', workflow: null, requestedBy: null, reason: null } as const;
  const result: DrillResult = {
    verdict: 'passed',
    verdictReason: null,
    kind: 'probe',
    backupId: backups[day - 1]!.id,
    dump: null,
    target: 'name:a',
    reached: 'at restore point "a"',
    reachedWal: upTo === null ? null : { timeline: 1, lsn: formatLsn(BigInt((upTo + 1) * segmentBytes)) },
    phases: [],
    rtoSeconds: 1,
    rpoSeconds: 1,
    rpoReason: null,
    targetErrorSeconds: null,
    checks: [{ name: 'a', passed: true, detail: '' }],
    error: null,
    rpoMeasured: null,
    objectives: null,
    notes: [],
    fallbacks: [],
  };
  await putReport(cluster.repository, buildReport(cluster, startReport(order), drillOutcome(result)));
}

export function expire(
  { cluster }: Pick<Stage, 'cluster'>,
  options: { confirmed?: boolean; dryRun?: boolean } = {},
): Promise<ExpiredRepository> {
  const { confirmed = true, dryRun = false } = options;
  return expireRepository(cluster, { timezone: 'UTC', confirmed, dryRun }, quietRun());
}

/** Days of the backups that are there, and the numbers of the segments. */
export async function left({ cluster, backups }: Stage): Promise<{ days: number[]; wal: number[] }> {
  const entries = await listBackups(cluster.repository, cluster.keys, name);
  const days = entries.map(({ id, state }) =>
    state === 'whole' ? backups.findIndex((each) => each.id === id) + 1 : -1,
  );
  const wal = [...(await listWal(cluster.repository, name, era)).keys()].map((each) =>
    Number.parseInt(each.slice(16), 16),
  );
  return { days, wal: wal.sort((a, b) => a - b) };
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

export const withStoreOf = (stage: Stage, store: Repository['store']): Stage => ({
  ...stage,
  cluster: { ...stage.cluster, ...withRepositories([{ ...stage.cluster.repository, store }]) },
});
