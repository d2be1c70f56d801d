import type { StoreOptions } from '../storage/store.ts';
import { chooseEntry, type Entry } from './entries.ts';
import type { KeyRing } from './keys.ts';
import {
  listBackupsIn,
  listDumpsIn,
  type MergedDump,
  type MergedEntry,
  type Unasked,
  type Whereabouts,
} from './merged.ts';
import type { BackupRecord, DumpRecord } from './record.ts';
import type { Repository } from './repository.ts';

/** All that a cluster has in its catalogues. */
export type Both = { backups: MergedEntry[]; dumps: MergedDump[]; unasked: Unasked[] };

/** What an id stands for. */
export type Either = Whereabouts & ({ what: 'backup'; record: BackupRecord } | { what: 'dump'; record: DumpRecord });

/** @throws {PgproofError} what the store says, when none of the repositories answers. */
export async function listBothIn(
  repositories: readonly Repository[],
  keys: KeyRing,
  cluster: string,
  options: StoreOptions = {},
): Promise<Both> {
  const [backups, dumps] = await Promise.all([
    listBackupsIn(repositories, keys, cluster, options),
    listDumpsIn(repositories, keys, cluster, options),
  ]);
  const names = new Set(backups.unasked.map(({ repository }) => repository));
  const unasked = [...backups.unasked, ...dumps.unasked.filter(({ repository }) => !names.has(repository))];
  return { backups: backups.entries, dumps: dumps.entries, unasked };
}

/**
 * The backup or the dump that the prefix means.
 * @throws {PgproofError} `backup-missing`, `backup-ambiguous`, or what makes the record untrustworthy.
 */
export function chooseEither(
  { backups, dumps }: Pick<Both, 'backups' | 'dumps'>,
  cluster: string,
  prefix: string,
): Either {
  const entries: Entry<Either>[] = [
    ...backups.map((entry) => either(entry, (record) => ({ ...placesOf(entry), what: 'backup', record }))),
    ...dumps.map((entry) => either(entry, (record) => ({ ...placesOf(entry), what: 'dump', record }))),
  ];
  return chooseEntry(entries, { what: 'backup or dump', cluster }, prefix);
}

const placesOf = ({ repositories, damagedIn }: Whereabouts): Whereabouts => ({ repositories, damagedIn });

function either<Committed>(entry: Entry<Committed>, of: (record: Committed) => Either): Entry<Either> {
  return entry.state === 'damaged' ? entry : { id: entry.id, state: 'whole', record: of(entry.record) };
}
