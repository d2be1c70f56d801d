import { suffixOf } from '../codec/sealing.ts';
import type { Run } from '../core/run.ts';
import { type TeeOptions, teeStore } from '../parts/tee.ts';
import type { PartJob } from '../parts/writer.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { loginEnv } from '../postgres/docker.ts';
import { sealingFor } from '../repository/keys.ts';
import { type DumpStream, dumpPartKey } from '../repository/layout.ts';
import type { Attempt } from './attempt.ts';
import type { DumpFit } from './preflight.ts';
import { dumpName } from './sessions.ts';
import type { DumpTarget } from './target.ts';

export type DumpTakeOptions = TeeOptions & {
  /** A dump in which nothing moves for so long is given up. @defaultValue 900 */
  stallSeconds?: number;
  /** A part is closed before it is stored with more bytes than this. @defaultValue 4 GiB */
  maxPartBytes?: number;
  /** Of a directory: how much of it may lie on this host's disk before pg_dump has to wait. @defaultValue 512 MiB */
  windowBytes?: number;
};

/** One attempt at one dump: what it is of, and where its bytes go. */
export type DumpJob = {
  cluster: ProtectedCluster;
  target: DumpTarget;
  fit: DumpFit;
  attempt: Attempt;
  options: DumpTakeOptions;
  /** Of pg_dump and pg_dumpall: who they are, and their password. */
  env: Record<string, string>;
  partsOf(stream: DumpStream, signal: AbortSignal): PartJob;
  /** So many bytes more were dumped. */
  passed(bytes: number): void;
};

export async function planDump(
  cluster: ProtectedCluster,
  target: DumpTarget,
  fit: DumpFit,
  attempt: Attempt,
  run: Run,
  options: DumpTakeOptions,
): Promise<DumpJob> {
  const sealing = sealingFor(cluster.keys);
  const store = teeStore(fit.copies, options);
  const { connection } = cluster.config;
  const login = { ...connection, database: target.database ?? connection.database };
  let doneBytes = 0;
  return {
    cluster,
    target,
    fit,
    attempt,
    options,
    env: { ...(await loginEnv(fit.clients, login)), PGAPPNAME: dumpName(attempt.id) },
    partsOf: (stream, signal) => ({
      store,
      keyOf: (part) => dumpPartKey(cluster.name, attempt.id, stream, part, suffixOf(sealing)),
      sealing,
      signal,
      ...(options.maxPartBytes === undefined ? {} : { maxStoredBytes: options.maxPartBytes }),
    }),
    passed: (bytes) => {
      doneBytes += bytes;
      run.progress({ phase: 'dump', doneBytes });
    },
  };
}
