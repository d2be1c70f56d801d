import type { PgproofError } from '../core/errors.ts';
import type { SegmentName, TimelineId } from '../core/segment.ts';
import type { HistoryEntry } from '../core/timeline.ts';
import type { BackupRecord, CutRecord, EraRecord } from '../repository/record.ts';
import type { EraCensus } from './census.ts';
import type { KnownDumps } from './dumps.ts';

/** One era, as far as its documents can be read. */
export type KnownEra = {
  name: string;
  census: EraCensus;
  record: EraRecord | null;
  histories: Map<TimelineId, readonly HistoryEntry[]>;
  /** WAL that was deleted because nothing needed it any more. */
  cuts: CutRecord[];
  expiredElsewhere: ExpiredElsewhere;
  /** Records of committed backups that are what they should be. */
  records: BackupRecord[];
  /** Why a record could not be read: it names a key set that is not at hand, which may have sealed WAL, too. */
  lacksKey: PgproofError | null;
};

/** All that the documents of a repository say of one cluster. */
export type Known = { eras: KnownEra[]; dumps: KnownDumps };

/** Segments that this repository never got, each with the repository in which it expired before. */
export type ExpiredElsewhere = Map<SegmentName, string>;
