import type { RetentionConfig } from '../config.ts';
import type { Hold } from '../hold.ts';
import type { Lsn } from '../lsn.ts';
import type { TimelineId } from '../segment.ts';
import type { HistoryEntry } from '../timeline.ts';

/*
 * What retention is planned from: one cluster in one repository, as that repository tells it; of the others only what it lacks.
 * Whatever could not be read stands here as such: it deletes nothing.
 */

/** The rules of one repository for its backups. */
export type RetentionRules = Omit<RetentionConfig, 'repositories' | 'dumps'>;

/** A position in the WAL of an era. */
export type WalPoint = { timeline: TimelineId; lsn: Lsn };

/** Where a backup stands in the WAL of its era. */
export type BackupPlace = { timeline: TimelineId; startLsn: Lsn; stopLsn: Lsn; parent: string | null };

/** A backup whose record can be trusted. */
export type BackupFacts = BackupPlace & {
  id: string;
  era: string;
  type: 'full' | 'incremental';
  /** The server's clock. */
  stoppedAt: string;
  storedBytes: number;
};

/** One whose record cannot be trusted. `place`: from another repository or a report; null where nothing else knows it. */
export type DamagedFacts = { id: string; era: string; why: string; place: BackupPlace | null };

/** A drill that passed. `upTo`: the WAL that it replayed; null where its report does not say. */
export type ProofFacts = { drill: string; backup: string; at: string; upTo: WalPoint | null };

/** Segments of one timeline that follow each other, by their numbers; `to` is the last one. */
export type SegmentRun = { timeline: TimelineId; from: bigint; to: bigint };

export type EraFacts = {
  era: string;
  segmentBytes: number;
  /** The timeline that the era was declared on. */
  timeline: TimelineId;
  histories: ReadonlyMap<TimelineId, readonly HistoryEntry[]>;
  /** What of it could not be read; nothing of the era is deleted then. */
  doubt: string | null;
  /** What is in the archive; ascending. */
  wal: readonly SegmentRun[];
};

export type RepositoryFacts = {
  /** Oldest first; the last is the current one. */
  eras: readonly EraFacts[];
  backups: readonly BackupFacts[];
  damaged: readonly DamagedFacts[];
  /** Backups whose deletion goes on: their WAL goes behind them. */
  leaving: readonly (BackupPlace & { id: string; era: string })[];
  /** Backups that other repositories have, and a copy may still bring here: their WAL waits for them. */
  awaited: readonly (BackupPlace & { id: string; era: string })[];
  proofs: readonly ProofFacts[];
  /** Those that were not released. */
  holds: readonly Hold[];
};
