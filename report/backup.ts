import type { BackupResult } from '../core/report.ts';
import { backupKey } from '../repository/layout.ts';
import type { BackupRecord } from '../repository/record.ts';
import type { Outcome, StartedReport } from './report.ts';

/** What a committed backup has to tell. @param places where it is, and where it is not. @param notes of the run, beside the record's own. */
export function backupOutcome(
  record: BackupRecord,
  { startedAt }: Pick<StartedReport, 'startedAt'>,
  { repositories, dropped }: Pick<BackupResult, 'repositories' | 'dropped'> = { repositories: [], dropped: [] },
  notes: readonly string[] = [],
): Outcome {
  const objects = [record.manifest, ...record.tablespaces.flatMap(({ parts }) => parts)];
  const sum = (of: 'plainBytes' | 'storedBytes') => objects.reduce((bytes, object) => bytes + object[of], 0);
  const result: BackupResult = {
    id: record.id,
    type: record.type,
    sizeBytes: sum('plainBytes'),
    storedBytes: sum('storedBytes'),
    durationSeconds: Math.max(0, Date.now() - Date.parse(startedAt)) / 1000,
    era: record.era,
    timeline: record.timeline,
    startLsn: record.startLsn,
    stopLsn: record.stopLsn,
    stoppedAt: record.stoppedAt,
    cipher: record.codec.cipher,
    serverVersion: record.serverVersion,
    verifiedFiles: record.verified.files,
    repositories,
    dropped,
    notes: [...(record.notes ?? []), ...notes],
  };
  const keys = [backupKey(record.cluster, record.era, record.id)];
  return {
    status: 'SUCCESS',
    result,
    sizeBytes: result.storedBytes,
    keys,
    ...(repositories.length === 0 ? {} : { repositories }),
  };
}
