import { type Hold, holdsBackup, holdsDump } from '../core/hold.ts';
import { backupPrefix, commitKey, dumpPrefix, eraBasePrefix, tombstoneKey } from './layout.ts';

/**
 * Where commit files of one kind lie, with their tombstones beside them, and the parts of what they commit. Backups and dumps
 * are committed, listed, deleted and reaped by the same protocol.
 */
export type Shelf = {
  what: 'backup' | 'dump';
  cluster: string;
  /** Null: dumps of all eras lie side by side. */
  era: string | null;
  /** Commit files and tombstones lie directly below it; anything deeper is something else. */
  prefix: string;
  /** A folder for each id lies below it. */
  partsPrefix: string;
};

export const backupShelf = (cluster: string, era: string): Shelf => ({
  what: 'backup',
  cluster,
  era,
  prefix: backupPrefix(cluster, era),
  partsPrefix: eraBasePrefix(cluster, era),
});

export const dumpShelf = (cluster: string): Shelf => ({
  what: 'dump',
  cluster,
  era: null,
  prefix: dumpPrefix(cluster),
  partsPrefix: dumpPrefix(cluster),
});

export const commitKeyOf = ({ prefix }: Shelf, id: string): string => commitKey(prefix, id);
export const tombstoneKeyOf = ({ prefix }: Shelf, id: string, deleter: string): string =>
  tombstoneKey(prefix, id, deleter);
export const partsPrefixOf = ({ partsPrefix }: Shelf, id: string): string => `${partsPrefix}${id}/`;

export const isHeldBy = ({ era }: Shelf, hold: Hold, id: string): boolean =>
  era === null ? holdsDump(hold, id) : holdsBackup(hold, era, id);
