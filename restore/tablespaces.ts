import { lstat, mkdir, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import { syncFolder } from '../storage/durable-file.ts';
import { isWithinSegment } from '../wal/in-place.ts';
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
 * Those that the replayed WAL creates. Replay would use the primary's own path: beside a running primary it destroys the primary's files,
 * and elsewhere it fails. So it is told no path, makes them inside the data directory, and they move to the others once
 * it is over. One that was created without a path lies inside it in any case.
 * @throws {PgproofError} `tablespace-outside`, with the newest target that works from this backup, where PostgreSQL cannot be told so.
 */
export function placeCreated(
  { tablespaces }: Survey,
  backup: BackupRecord,
  into: string,
  { major, segmentBytes }: Pick<EraRecord, 'major' | 'segmentBytes'>,
): RestorePlan['created'] {
  return tablespaces
    .filter(({ path }) => path !== '')
    .map((created) => {
      const { oid, lsn, path } = created;
      if (major < 15 || !isWithinSegment(lsn, path, segmentBytes)) throw outside(created, backup);
      return { oid, lsn, from: path, to: join(into, tablespaceFolder, oid) };
    });
}

/** After recovery: moves what it created inside pg_tblspc, and puts a link in its place. Safe to do again; what was dropped again is not there. */
export async function linkCreated({ into, created }: Pick<RestorePlan, 'into' | 'created'>): Promise<void> {
  if (created.length === 0) return;
  await mkdir(join(into, tablespaceFolder), { recursive: true, mode: 0o700 });
  for (const { oid, to } of created) {
    const link = join(into, 'pg_tblspc', oid);
    if ((await lstat(link).catch(() => null))?.isDirectory()) await rename(link, to);
    if ((await isThere(to)) && !(await isThere(link))) await symlink(to, link);
  }
  for (const folder of [tablespaceFolder, 'pg_tblspc', '.']) await syncFolder(join(into, folder));
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

function outside({ path, lsn, prev }: Survey['tablespaces'][number], backup: BackupRecord): PgproofError {
  const works = compareLsn(prev, backup.stopLsn as Lsn) >= 0;
  const before = works ? `lsn:${prev}` : null;
  return new PgproofError(
    'tablespace-outside',
    `the WAL after backup ${backup.id} creates a tablespace in '${path}', which is outside of the target: replay would write there`,
    {
      facts: { backupId: backup.id, path, lsn, nearestBefore: before },
      hint: `Restore from a backup that was taken after the tablespace was created; take one now if the server still runs.${works ? ` The newest target that works from this backup: ${before}.` : ''}`,
    },
  );
}
