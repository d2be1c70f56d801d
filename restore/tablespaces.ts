import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import type { BackupRecord } from '../repository/record.ts';
import type { RestorePlan } from './record.ts';
import type { Survey } from './survey.ts';

/** Where tablespaces lie inside a restored data directory. PostgreSQL copies them once, and by their OID, when it is backed up. */
export const tablespaceFolder = 'tablespaces';

/** Every tablespace of the backup goes into the target: where it lay on the primary, the primary's own files may lie. */
export function placeTablespaces(backup: BackupRecord, into: string): RestorePlan['tablespaces'] {
  return backup.tablespaces.flatMap(({ name, path }) =>
    path === null ? [] : [{ oid: name, from: path, to: join(into, tablespaceFolder, name) }],
  );
}

/**
 * Replay of CREATE TABLESPACE uses the primary's own path: beside a running primary it destroys the primary's files, and
 * elsewhere it fails (FACTS-PG §k). An empty path is one inside the data directory, which harms nothing.
 * @throws {PgproofError} `tablespace-outside`, with the newest target that works from this backup.
 */
export function refuseOutside(survey: Survey, backup: BackupRecord): void {
  const first = survey.tablespaces.find(({ path }) => path !== '');
  if (first === undefined) return;
  const works = compareLsn(first.prev, backup.stopLsn as Lsn) >= 0;
  const before = works ? `lsn:${first.prev}` : null;
  throw new PgproofError(
    'tablespace-outside',
    `the WAL after backup ${backup.id} creates a tablespace in '${first.path}', which is outside of the target: replay would write there`,
    {
      facts: { backupId: backup.id, path: first.path, lsn: first.lsn, nearestBefore: before },
      hint: `Restore from a backup that was taken after the tablespace was created; take one now if the server still runs.${works ? ` The newest target that works from this backup: ${before}.` : ''}`,
    },
  );
}
