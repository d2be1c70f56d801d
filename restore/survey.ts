import { compareLsn, type Lsn } from '../core/lsn.ts';
import { microsOf } from '../core/micros.ts';
import type { Run } from '../core/run.ts';
import type { RecoveryTarget } from '../core/target.ts';
import type { BackupRecord } from '../repository/record.ts';
import type { Coverage } from '../wal/inventory.ts';
import type { WalRecord } from '../wal/records.ts';
import { scanWal } from '../wal/scan.ts';
import { type Archive, walOf } from './archive.ts';

/** What replay from a backup to its target will come across, read from the archived WAL beforehand. */
export type Survey = {
  /** The record that ends the recovery; null when the WAL has none. */
  stop: { lsn: Lsn; at: bigint | null } | null;
  /** Commit time of the newest transaction that replay takes in, µs since 1970; null: none. */
  lastCommitAt: bigint | null;
  /** CREATE TABLESPACE in the WAL. */
  tablespaces: { lsn: Lsn; prev: Lsn; oid: string; path: string }[];
  /** The highest that the primary's settings were raised to on the way. */
  minimums: Record<string, number>;
};

/**
 * Reads the WAL in the order of replay until `stops` says so.
 * @param until nothing at or behind this position is looked at.
 */
export async function surveyWal(
  archive: Archive,
  backup: BackupRecord,
  coverage: Coverage,
  stops: (record: WalRecord) => boolean,
  until: Lsn | null,
  run: Run,
): Promise<Survey> {
  const survey: Survey = { stop: null, lastCommitAt: null, tablespaces: [], minimums: { ...backup.platform.minimums } };
  run.progress({ phase: 'scan', totalBytes: coverage.segments.length * archive.era.segmentBytes });
  for await (const record of scanWal(walOf(archive, coverage), backup.startLsn as Lsn, run)) {
    if (until !== null && compareLsn(record.lsn, until) >= 0) break;
    if (stops(record)) {
      survey.stop = { lsn: record.lsn, at: record.kind === 'end' ? record.at : null };
      break;
    }
    note(survey, record);
  }
  return survey;
}

/**
 * The record at which PostgreSQL would stop. Positions need none: they are known beforehand.
 * Source: PostgreSQL src/backend/access/transam/xlogrecovery.c, recoveryStopsBefore and recoveryStopsAfter.
 */
export function stopRule(target: RecoveryTarget): (record: WalRecord) => boolean {
  if (target.type === 'time') {
    const at = microsOf(target.value as string);
    return (record) => record.kind === 'end' && (target.inclusive ? record.at > at : record.at >= at);
  }
  if (target.type === 'xid') {
    // PostgreSQL takes the lower 32 bits of what it is given.
    const xid = String(BigInt(target.value as string) & 0xffff_ffffn);
    return (record) => record.kind === 'end' && record.xid === xid;
  }
  if (target.type === 'name') return (record) => record.kind === 'restore-point' && record.name === target.value;
  return () => false;
}

function note(survey: Survey, record: WalRecord): void {
  if (
    record.kind === 'end' &&
    record.outcome === 'commit' &&
    (survey.lastCommitAt === null || record.at > survey.lastCommitAt)
  ) {
    survey.lastCommitAt = record.at;
  }
  if (record.kind === 'tablespace') survey.tablespaces.push(record);
  if (record.kind === 'minimums') {
    for (const [name, value] of Object.entries(record.minimums)) {
      survey.minimums[name] = Math.max(value, survey.minimums[name] ?? 0);
    }
  }
}
