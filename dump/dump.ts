import { PgproofError } from '../core/errors.ts';
import type { DumpRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import type { Dropped } from '../parts/copies.ts';
import type { TeeOptions } from '../parts/tee.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { DumpRecord } from '../repository/record.ts';
import type { DumpTarget } from './target.ts';

export type { DumpTarget } from './target.ts';

export type DumpTakeOptions = TeeOptions & {
  /** A dump in which nothing moves for so long is given up. @defaultValue 900 */
  stallSeconds?: number;
  /** A part is closed before it is stored with more bytes than this. @defaultValue 4 GiB */
  maxPartBytes?: number;
  /** Of a directory: how much of it may lie on this host's disk before pg_dump has to wait. @defaultValue 512 MiB */
  windowBytes?: number;
};

export type TakenDump = { record: DumpRecord; copies: { repositories: string[]; dropped: readonly Dropped[] } };

/**
 * What a request comes to, a dump each; refuses what would fail later, before anything is written.
 * @throws {PgproofError} `database-missing`, `tool-missing`, `tool-outdated`, `dump-refused`, `rights-missing`, `owner-other`; what
 * `withClient` throws; why a required repository cannot be used.
 */
export async function dumpTargets(
  _cluster: ProtectedCluster,
  _request: Pick<DumpRequest, 'kind' | 'tier' | 'databases'> & Partial<DumpRequest>,
  _run: Run,
): Promise<DumpTarget[]> {
  throw new PgproofError('internal', 'not written yet');
}

/**
 * Takes one dump from beginning to end: dump, verify, commit. Each call draws its own id, and nothing of a failed one is listed.
 * @throws {PgproofError} what `dumpTargets` throws; `tool-failed`, `dump-unverified`, `timeout`, `no-space`, `store-unreachable`.
 */
export async function takeDump(
  _cluster: ProtectedCluster,
  _target: DumpTarget,
  _run: Run,
  _options: DumpTakeOptions = {},
): Promise<TakenDump> {
  throw new PgproofError('internal', 'not written yet');
}
