import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { BackupEntry } from '../repository/catalogue.ts';
import type { DumpEntry } from '../repository/dumps.ts';
import type { Repository } from '../repository/repository.ts';
import type { Tally } from './tally.ts';

/** From where to where one cluster is copied, and the keys that tell whether what is read is whole. */
export type Pair = { from: Repository; to: Repository; cluster: string } & Pick<
  ProtectedCluster,
  'fleet' | 'host' | 'keys' | 'walKeys' | 'paths'
>;

/** What the source has: its catalogue. */
export type Catalogue = { backups: readonly BackupEntry[]; dumps: readonly DumpEntry[] };

/** A copy under way: what its phases are handed. */
export type Copying = Pair & {
  run: Run;
  tally: Tally;
  /** Objects under way at once. */
  width: number;
  /** Whether these objects were looked at before in this run: then what is there has been counted. */
  again: boolean;
  /** Copies the WAL that came since, when the last time is long enough ago. */
  newWal(): Promise<void>;
};
