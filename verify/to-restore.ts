import { partOf } from '../core/dump-part.ts';
import { PgproofError } from '../core/errors.ts';
import { chooseEntry } from '../repository/entries.ts';
import type { BackupRecord, DumpRecord } from '../repository/record.ts';
import type { Known } from './known.ts';

/** What `--restore` takes: backups are unpacked, dumps are read to their end. */
export type ToRestore = { backups: BackupRecord[]; dumps: DumpRecord[] };

/**
 * The one whose id begins so; without it the newest backup, and the newest dump of each database, of each part of one that is dumped
 * alone.
 * @throws {PgproofError} `backup-missing`, `backup-ambiguous`
 */
export function chooseToRestore({ eras, dumps }: Known, wanted: string | null, cluster: string): ToRestore {
  const backups = eras.flatMap(({ records }) => records);
  if (wanted === null) return newest(backups, dumps.records, cluster);
  const entries = [
    ...backups.map((record) => ({ ...whole(record.id), record: { backups: [record], dumps: [] } })),
    ...dumps.records.map((record) => ({ ...whole(record.id), record: { backups: [], dumps: [record] } })),
  ];
  return chooseEntry<ToRestore>(entries, { what: 'backup or dump', cluster }, wanted);
}

function newest(backups: readonly BackupRecord[], dumps: readonly DumpRecord[], cluster: string): ToRestore {
  const byTime = backups.toSorted((a, b) => (a.stoppedAt < b.stoppedAt ? -1 : 1));
  const ofEach = new Map<string, DumpRecord>();
  for (const dump of dumps.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1)))
    ofEach.set(JSON.stringify([dump.kind, dump.database, partOf({ content: dump.content, ...dump.selection })]), dump);
  if (backups.length === 0 && ofEach.size === 0) {
    throw new PgproofError('backup-missing', `cluster '${cluster}' has no whole backup, and no whole dump`, {
      facts: { cluster },
      hint: `See: pgproof list ${cluster}`,
    });
  }
  return { backups: byTime.slice(-1), dumps: [...ofEach.values()] };
}

const whole = (id: string) => ({ id, state: 'whole' }) as const;
