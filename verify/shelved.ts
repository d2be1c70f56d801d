import type { ProtectedCluster } from '../postgres/cluster.ts';
import { dumpParts } from '../repository/dumps.ts';
import type { StoredPart } from '../repository/record.ts';
import { backupShelf, dumpShelf, type Shelf } from '../repository/shelf.ts';
import type { ShelfCensus } from './census.ts';
import type { Subject } from './findings.ts';
import type { Known } from './known.ts';
import { partsOf } from './work.ts';

/** One whose record is what it should be, with all that it lists. */
export type Shelved = { id: string; keyId: string | null; parts: StoredPart[] };

/** What verify knows of one shelf: backups of an era, or the dumps. Both are committed, deleted and reaped alike. */
export type KnownShelf = {
  shelf: Shelf;
  census: ShelfCensus;
  committed(): Shelved[];
  /** What turns out to be deleted is looked at no more. */
  forget(id: string): void;
};

export function shelvesOf({ name }: Pick<ProtectedCluster, 'name'>, { eras, dumps }: Known): KnownShelf[] {
  const ofEras = eras.map((era): KnownShelf => {
    return {
      shelf: backupShelf(name, era.name),
      census: era.census,
      committed: () => era.records.map((record) => ({ id: record.id, keyId: record.keyId, parts: partsOf(record) })),
      forget: (id) => {
        era.records = era.records.filter((record) => record.id !== id);
      },
    };
  });
  const ofDumps: KnownShelf = {
    shelf: dumpShelf(name),
    census: dumps.census,
    committed: () => dumps.records.map((record) => ({ id: record.id, keyId: record.keyId, parts: dumpParts(record) })),
    forget: (id) => {
      dumps.records = dumps.records.filter((record) => record.id !== id);
    },
  };
  return [...ofEras, ofDumps];
}

export const subjectOn = ({ era }: Shelf, id: string): Extract<Subject, { of: 'backup' | 'dump' }> =>
  era === null ? { of: 'dump', id } : { of: 'backup', era, id };

/** The shelf that a finding is about; undefined for what is neither a backup nor a dump. */
export function shelfOf(shelves: readonly KnownShelf[], subject: Subject): KnownShelf | undefined {
  if (subject.of !== 'backup' && subject.of !== 'dump') return undefined;
  const wanted = subject.of === 'dump' ? null : subject.era;
  return shelves.find(({ shelf }) => shelf.era === wanted);
}
