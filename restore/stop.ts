import { PgproofError } from '../core/errors.ts';
import { compareLsn, formatLsn, type Lsn, lsnPosition } from '../core/lsn.ts';
import { isoOfMicros, microsOf } from '../core/micros.ts';
import type { Run } from '../core/run.ts';
import { segmentEnd } from '../core/segment.ts';
import { formatTarget, type RecoveryTarget } from '../core/target.ts';
import type { BackupRecord } from '../repository/record.ts';
import type { Coverage } from '../wal/inventory.ts';
import { firstRecordFrom, lastRecordStart } from '../wal/scan.ts';
import { type Archive, coverageFrom, walOf } from './archive.ts';
import type { RestorePlan } from './record.ts';
import { type Survey, stopRule, surveyWal } from './survey.ts';
import { commitTime, endOf, unreachable } from './unreachable.ts';

/** Which backup, and where recovery from it will stop. */
export type Stop = {
  backup: BackupRecord;
  coverage: Coverage;
  survey: Survey;
  /** WAL up to here is needed. */
  neededTo: Lsn;
  recovery: Pick<RestorePlan['recovery'], 'setting' | 'value' | 'inclusive'>;
  expected: RestorePlan['expected'];
  notes: string[];
};

/**
 * Reads the archived WAL for where recovery to the target stops, so that what will fail is refused before it starts.
 * @param candidates backups that may serve, the newest first; the first one that does is taken.
 * @throws {PgproofError} `target-unreachable` with the nearest targets that work; `wal-conflict`; `wal-unreadable`.
 */
export async function findStop(
  archive: Archive,
  candidates: readonly BackupRecord[],
  target: RecoveryTarget,
  run: Run,
): Promise<Stop> {
  const newest = candidates[0] as BackupRecord;
  if (target.type === 'immediate' || target.type === 'backup') return stopAtBackup(archive, newest, target, run);
  if (target.type === 'lsn') return stopAtLsn(archive, newest, target, run);
  if (target.type === 'latest') return stopAtLatest(archive, newest, target, run);
  return stopAtRecord(archive, candidates, target, run);
}

async function stopAtBackup(archive: Archive, backup: BackupRecord, target: RecoveryTarget, run: Run): Promise<Stop> {
  const end = backup.stopLsn as Lsn;
  const coverage = coverageFrom(archive, backup.startLsn as Lsn);
  if (compareLsn(coverage.endLsn, end) < 0) throw brokenOff(archive, coverage, target, null);
  const survey = await surveyWal(archive, backup, coverage, () => false, end, run);
  const recovery = { setting: 'recovery_target', value: 'immediate', inclusive: true } as const;
  return { backup, coverage, survey, neededTo: end, recovery, expected: expectedAt(end, survey), notes: [] };
}

async function stopAtLsn(archive: Archive, backup: BackupRecord, target: RecoveryTarget, run: Run): Promise<Stop> {
  const wanted = target.value as Lsn;
  const coverage = coverageFrom(archive, backup.startLsn as Lsn);
  const wal = walOf(archive, coverage);
  const record = await firstRecordFrom(wal, wanted, run.signal);
  if (record === null) {
    const last = await lastRecordStart(wal, backup.stopLsn as Lsn, run.signal);
    throw brokenOff(archive, coverage, target, last);
  }
  const until = target.inclusive ? formatLsn(lsnPosition(record) + 1n) : record;
  const survey = await surveyWal(archive, backup, coverage, () => false, until, run);
  return stopAtPosition(backup, coverage, survey, { lsn: wanted, record, inclusive: target.inclusive }, []);
}

async function stopAtLatest(archive: Archive, backup: BackupRecord, target: RecoveryTarget, run: Run): Promise<Stop> {
  const coverage = coverageFrom(archive, backup.startLsn as Lsn);
  const last = await lastRecordStart(walOf(archive, coverage), backup.stopLsn as Lsn, run.signal);
  if (last === null || coverage.stop.reason !== 'end') throw brokenOff(archive, coverage, target, last);
  const survey = await surveyWal(archive, backup, coverage, () => false, null, run);
  const notes = [
    `The newest record in the archive is at ${last}. What the server wrote after it, and has not archived, is not in it.`,
  ];
  return stopAtPosition(backup, coverage, survey, { lsn: last, record: last, inclusive: true }, notes);
}

/** Time, transaction and restore point: the archived WAL must hold the record that decides. */
async function stopAtRecord(
  archive: Archive,
  candidates: readonly BackupRecord[],
  target: RecoveryTarget,
  run: Run,
): Promise<Stop> {
  const stops = stopRule(target);
  let newer: BackupRecord | null = null;
  for (const backup of candidates) {
    const coverage = coverageFrom(archive, backup.startLsn as Lsn);
    // What lies behind a newer backup's end was looked through already, from that backup.
    const until = target.type === 'time' ? null : ((newer?.stopLsn ?? null) as Lsn | null);
    const survey = await surveyWal(archive, backup, coverage, stops, until, run);
    if (survey.stop !== null && compareLsn(survey.stop.lsn, backup.stopLsn as Lsn) >= 0) {
      return decided(backup, coverage, survey, survey.stop, target);
    }
    if (survey.stop === null && target.type === 'time')
      return laterThanAll(archive, backup, coverage, survey, target, run);
    newer = backup;
  }
  throw await notFound(archive, candidates, target, run);
}

function decided(
  backup: BackupRecord,
  coverage: Coverage,
  survey: Survey,
  stop: { lsn: Lsn },
  target: RecoveryTarget,
): Stop {
  const settings = { time: 'recovery_target_time', xid: 'recovery_target_xid', name: 'recovery_target_name' } as const;
  const setting = settings[target.type as keyof typeof settings];
  const value = target.type === 'time' ? postgresTime(target.value as string) : (target.value as string);
  const recovery = { setting, value, inclusive: target.inclusive };
  return { backup, coverage, survey, neededTo: stop.lsn, recovery, expected: expectedAt(stop.lsn, survey), notes: [] };
}

/**
 * A time after the last archived commit: PostgreSQL would go to the end of the archive, and fail there. It becomes the last
 * record, which is the same state, where nothing can be missing in between.
 */
async function laterThanAll(
  archive: Archive,
  backup: BackupRecord,
  coverage: Coverage,
  survey: Survey,
  target: RecoveryTarget,
  run: Run,
): Promise<Stop> {
  const last = await lastRecordStart(walOf(archive, coverage), backup.stopLsn as Lsn, run.signal);
  if (last === null || coverage.stop.reason !== 'end' || !archive.current) {
    throw brokenOff(archive, coverage, target, last, survey.lastCommitAt);
  }
  if (microsOf(target.value as string) > BigInt(Date.now()) * 1000n) {
    throw unreachable(
      target,
      'it lies in the future',
      { before: 'latest' },
      { lastCommitAt: commitTime(survey.lastCommitAt) },
    );
  }
  const newest =
    survey.lastCommitAt === null
      ? 'no commit since the backup'
      : `its newest commit is of ${isoOfMicros(survey.lastCommitAt)}`;
  const notes = [
    `The target ${formatTarget(target)} is later than everything in the archive (${newest}), so it became the last archived record, ${last}.`,
    'If the server still runs, what it has not archived yet is not in it: run `pgproof wal switch` first, and plan again.',
  ];
  return stopAtPosition(backup, coverage, survey, { lsn: last, record: last, inclusive: true }, notes);
}

function stopAtPosition(
  backup: BackupRecord,
  coverage: Coverage,
  survey: Survey,
  at: { lsn: Lsn; record: Lsn; inclusive: boolean },
  notes: string[],
): Stop {
  const recovery = { setting: 'recovery_target_lsn', value: at.lsn, inclusive: at.inclusive } as const;
  return { backup, coverage, survey, neededTo: at.record, recovery, expected: expectedAt(at.record, survey), notes };
}

/** The WAL ends, has a gap or a conflict before the target. */
function brokenOff(
  archive: Archive,
  coverage: Coverage,
  target: RecoveryTarget,
  last: Lsn | null,
  lastCommitAt: bigint | null = null,
): PgproofError {
  const { reason, segment } = coverage.stop;
  const behind = archive.backups.find(({ startLsn }) => compareLsn(startLsn as Lsn, coverage.endLsn) >= 0);
  // As a position: a commit's time would only do if a later commit followed it.
  const before = last === null ? null : `lsn:${last}`;
  const nearest = { before, after: endOf(behind, target) };
  if (reason === 'conflict') {
    return new PgproofError(
      'wal-conflict',
      `the WAL segment ${segment}, which the target needs, exists twice with different content`,
      {
        facts: { segment, target: formatTarget(target), nearestBefore: before, nearestAfter: nearest.after },
        hint: `Decide which one counts: pgproof wal quarantine list ${archive.cluster.name}. The target that works without it: ${before ?? 'none'}.`,
      },
    );
  }
  const facts = { segment, lastCommitAt: commitTime(lastCommitAt) };
  if (reason === 'gap')
    return unreachable(target, `the WAL segment ${segment} is missing in the archive`, nearest, facts);
  if (archive.current) return unreachable(target, `the archive ends with ${last ?? coverage.endLsn}`, nearest, facts);
  return unreachable(
    target,
    `era ${archive.era.era} ended before it, and no later backup was ready by then`,
    nearest,
    facts,
  );
}

async function notFound(
  archive: Archive,
  candidates: readonly BackupRecord[],
  target: RecoveryTarget,
  run: Run,
): Promise<PgproofError> {
  const oldest = candidates.at(-1) as BackupRecord;
  const newest = candidates[0] as BackupRecord;
  const coverage = coverageFrom(archive, newest.startLsn as Lsn);
  const last = await lastRecordStart(walOf(archive, coverage), newest.stopLsn as Lsn, run.signal);
  const what = target.type === 'name' ? 'no restore point of that name' : 'no end of that transaction';
  return unreachable(
    target,
    `the archive has ${what} between the end of the oldest backup, ${oldest.stopLsn}, and ${last ?? coverage.endLsn}${coverage.stop.reason === 'gap' ? `, where segment ${coverage.stop.segment} is missing` : ''}`,
    { before: last === null ? null : `lsn:${last}` },
    { searchedFrom: oldest.stopLsn, searchedTo: last ?? segmentEnd(coverage.stop.segment, archive.era.segmentBytes) },
  );
}

function expectedAt(lsn: Lsn, survey: Survey): RestorePlan['expected'] {
  return { lsn, lastCommitAt: commitTime(survey.lastCommitAt) };
}

/** Microseconds and zone in the form that PostgreSQL itself prints. */
function postgresTime(iso: string): string {
  return iso.replace('T', ' ').replace(/Z$/, '+00');
}
