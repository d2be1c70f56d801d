import type { PartJob } from '../parts/writer.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import type { Tools } from '../postgres/tools.ts';
import type { BackupRecord } from '../repository/record.ts';
import type { Kept, Passed } from './tap.ts';

/** What is to be copied, and where it goes. */
export type CopyJob = {
  cluster: ProtectedCluster;
  id: string;
  server: ServerFacts;
  tools: Tools;
  /** What the copy will come to, in bytes; null when the server does not tell. */
  expectedBytes: number | null;
  /** Where the parts of a tablespace go. */
  partsOf(tablespace: string, signal: AbortSignal): PartJob;
  /** Told of every piece that was taken. */
  passed(bytes: number): void;
  /** Told of what pg_basebackup says meanwhile. */
  said(text: string): void;
};

/** A copy whose bytes are in the repository, and that nobody has held against the manifest yet. */
export type CopiedBase = Kept & { tablespaces: BackupRecord['tablespaces']; passed: Passed };
