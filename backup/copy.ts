import { randomBytes } from 'node:crypto';
import { suffixOf } from '../codec/sealing.ts';
import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import { runId } from '../core/ids.ts';
import type { Run } from '../core/run.ts';
import { withStallWatch } from '../parts/stall.ts';
import { type TeeOptions, teeStore } from '../parts/tee.ts';
import { othersThan, type ProtectedCluster } from '../postgres/cluster.ts';
import { type LockHolder, withClusterLock } from '../postgres/lock.ts';
import { inspectServer } from '../postgres/server.ts';
import { reapLeftovers } from '../repository/commit.ts';
import { currentEra } from '../repository/eras.ts';
import { sealingFor } from '../repository/keys.ts';
import { partKey } from '../repository/layout.ts';
import { backupShelf } from '../repository/shelf.ts';
import { mayReap, noteBegun } from './begun.ts';
import type { CopiedBase, CopyJob } from './copied.ts';
import { expectedBytes } from './expected.ts';
import { livePendings, savePending } from './pending.ts';
import { type Fit, preflight } from './preflight.ts';
import { pendingOf } from './record.ts';
import { removeStagingLeftovers, stageBase } from './staging.ts';
import { streamBase } from './stream.ts';
import { awaitsArchiver, endStrayCopies } from './walsender.ts';

export type CopyOptions = TeeOptions & {
  /** A copy in which nothing moves for so long is given up. @defaultValue 900 */
  stallSeconds?: number;
  /** A part is closed before it is stored with more bytes than this. @defaultValue 4 GiB */
  maxPartBytes?: number;
};

/**
 * Copies the cluster into all the repositories that it is written to, at once, and holds every file against PostgreSQL's
 * manifest as it passes. One that is not required and goes wrong is dropped, which the pending record says. What comes of it is
 * no backup yet: a pending record in this host's state, for `awaitWal` and `commit`. Each attempt draws its own id, so a
 * late one never writes into another's place.
 * @throws {PgproofError} `cluster-busy`; what `preflight` throws; `tool-failed`, `tar-invalid`, `backup-unverified`,
 * `manifest-invalid`; `segment-not-archived` when PostgreSQL waits for its archiver in vain; `timeout`; `no-space`,
 * `store-unreachable`. Nothing of a failed attempt is listed.
 */
export async function copyBase(
  cluster: ProtectedCluster,
  run: Run,
  options: CopyOptions = {},
): Promise<{ id: string }> {
  const id = runId(new Date(), 'full', randomBytes(4).toString('hex'));
  const holder = { operation: 'backup', id };
  let began = false;
  const copy = async (signal: AbortSignal): Promise<{ id: string }> => {
    const fit = await preflight(cluster, { ...run, signal });
    began = true;
    return copyAlone(cluster, id, fit, { ...run, signal }, options);
  };
  try {
    return await withClusterLock(cluster, holder, copy, run);
  } catch (error) {
    throw began ? await withdraw(cluster, holder, asPgproofError(error)) : error;
  }
}

/** The caller holds the cluster's lock: whatever else looks like a copy of ours is a leftover. */
async function copyAlone(
  cluster: ProtectedCluster,
  id: string,
  fit: Fit,
  run: Run,
  options: CopyOptions,
): Promise<{ id: string }> {
  await clearLeftovers(cluster, fit, run);
  await noteBegun(cluster, id);
  const job = await planCopy(cluster, id, fit, run, options);
  const copied = await copyWatched(job, run, options);
  const after = await inspectServer(cluster.config.connection, { signal: run.signal });
  const pending = await pendingOf(job, fit, copied, after.clock, run.signal);
  const { live, dropped } = fit.copies;
  await savePending(cluster, { ...pending, copies: live.map(({ name }) => name), dropped: [...dropped] });
  return { id };
}

async function clearLeftovers(cluster: ProtectedCluster, { era, copies }: Fit, run: Run): Promise<void> {
  run.progress({ phase: 'clear leftovers' });
  await endStrayCopies(cluster, run.signal);
  await removeStagingLeftovers(cluster);
  const except = await livePendings(cluster);
  const mine = await mayReap(cluster);
  await copies.each(run.signal, (repository) =>
    reapLeftovers(repository, backupShelf(cluster.name, era.era), {
      except,
      mayReap: mine,
      ...othersThan(cluster, repository),
      signal: run.signal,
    }),
  );
}

async function planCopy(
  cluster: ProtectedCluster,
  id: string,
  { era, server, tools, copies }: Fit,
  run: Run,
  options: CopyOptions,
): Promise<CopyJob> {
  const sealing = sealingFor(cluster.keys);
  const store = teeStore(copies, options);
  const totalBytes = await expectedBytes(cluster, run.signal);
  let doneBytes = 0;
  const tell = (note?: string) =>
    run.progress({
      phase: 'copy',
      doneBytes,
      ...(totalBytes === null ? {} : { totalBytes }),
      ...(note === undefined ? {} : { note }),
    });
  return {
    cluster,
    id,
    server,
    tools,
    expectedBytes: totalBytes,
    partsOf: (tablespace, signal) => ({
      store,
      keyOf: (part) => partKey(cluster.name, era.era, id, tablespace, part, suffixOf(sealing)),
      sealing,
      signal,
      maxStoredBytes: options.maxPartBytes,
    }),
    passed: (bytes) => {
      doneBytes += bytes;
      tell();
    },
    said: (text) => tell(text.trim().split('\n').at(-1)),
  };
}

async function copyWatched(job: CopyJob, run: Run, { stallSeconds = 900 }: CopyOptions): Promise<CopiedBase> {
  run.progress({ phase: 'copy', doneBytes: 0 });
  const copy = job.server.tablespaces.length === 0 ? streamBase : stageBase;
  const stall = { seconds: stallSeconds, awaitsArchiver: () => awaitsArchiver(job.cluster, job.id) };
  return withStallWatch(run.signal, stall, (watch) => copy(job, watch));
}

/** How long a failed attempt may take to clean up after itself; the next one would do it as well. */
const withdrawSeconds = 60;

/**
 * A repository that ran full must not stay full of what nobody will ever commit, nor a walsender wait for a copy that ended.
 * Under the lock, taken anew: an attempt that had lost it would end its replacement's copy. Who has it meanwhile cleans up.
 */
async function withdraw(cluster: ProtectedCluster, holder: LockHolder, reason: PgproofError): Promise<PgproofError> {
  const patience = { signal: AbortSignal.timeout(withdrawSeconds * 1000) };
  try {
    await withClusterLock(cluster, holder, (signal) => clearEra(cluster, holder.id, signal), patience);
    return reason;
  } catch (error) {
    if (hasCode(error, 'cluster-busy')) return reason;
    // The reason is what the caller must hear; what could not be cleaned is cleaned by the next copy, and said here.
    return reason.retold({ facts: { leftovers: true } });
  }
}

/** In each repository that can be reached; what goes wrong in one keeps none of the others from being cleaned. */
async function clearEra(cluster: ProtectedCluster, own: string, signal: AbortSignal): Promise<void> {
  await endStrayCopies(cluster, signal);
  const except = await livePendings(cluster);
  const mine = await mayReap(cluster);
  const cleaned = await Promise.allSettled(
    cluster.written.map(async (repository) => {
      const era = await currentEra(repository, cluster.name, { signal });
      if (era === undefined) return;
      await reapLeftovers(repository, backupShelf(cluster.name, era.era), {
        except,
        own,
        mayReap: mine,
        ...othersThan(cluster, repository),
        signal,
      });
    }),
  );
  for (const outcome of cleaned) if (outcome.status === 'rejected') throw outcome.reason;
}
