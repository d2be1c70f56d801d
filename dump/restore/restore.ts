import type { ConnectionConfig, DrillCheckConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { Clients } from '../../postgres/clients.ts';
import type { DumpRestoreMode, DumpRestoreOptions } from './options.ts';
import type { DumpRestoreResult } from './result.ts';
import type { DumpSource } from './source.ts';

export type RestoreInto = {
  /** Of the server; its `database` is the one to be connected to while the other is made. */
  connection: ConnectionConfig;
  /** pg_restore and psql (`findRestorers`). */
  tools: Clients;
  /** Any name, also one that looks like an option or a connection string. */
  database: string;
  mode: DumpRestoreMode;
  /** A private folder that exists; what the restore puts into it is gone when it ends. */
  staging: string;
  /** Asked in the restored database. */
  checks?: readonly DrillCheckConfig[];
  /** Comment of a database that was made, so that who made it is known; the caller takes it away. */
  marker?: string;
};

/**
 * Restores a dump into one database: fetched and checked, the database made (template0, with the encoding and the locale of the
 * dump's), globals on wish, pg_restore or psql, counts and assertions. A database that it made stays when it fails.
 * @throws {PgproofError} `dump-restore-failed` with the first errors; `database-exists`, `database-not-empty`, `database-missing`;
 * `dump-unfit`: the server lacks what the dump needs; `object-damaged`, `no-space`, …
 */
export async function restoreDump(
  source: DumpSource,
  into: RestoreInto,
  options: DumpRestoreOptions,
  run: Run,
): Promise<DumpRestoreResult> {
  void [into, options, run];
  throw new PgproofError('internal', `${source.what} cannot be restored yet`);
}
