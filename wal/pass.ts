import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { gatherKnown } from './known.ts';
import type { Lane } from './lane.ts';
import { type Outcome, type ShipContext, shipFile } from './ship-file.ts';
import { readSpool, type SpoolFile } from './spool.ts';

/** What one look at the spool, for one repository, came to. Errors are here, not thrown: what went well before them counts. */
export type ShipPass = {
  /** Name of the repository. */
  repository: string;
  /** Segments and history files that are durable in the repository now; gone from the spool, unless another lacks them. */
  shipped: string[];
  /** Moved to `foreign`, each with its reason. */
  refused: { file: string; error: PgproofError }[];
  /** Left in the spool until somebody who knows can be asked. */
  waiting: { file: string; error: PgproofError }[];
  /** Segments that the archive now holds with two contents. */
  conflicts: PgproofError[];
  /** Left the spool without having reached this repository, which is not required; `copy` brings it. */
  missed: string[];
  /** Why the keys of a rotated file could not be taken over; those at hand went on. */
  keyProblem: PgproofError | null;
  /** Why the pass ended early: the repository could not be used. Everything else is still in the spool. */
  error: PgproofError | null;
};

export type PassOptions = {
  signal: AbortSignal;
  /** A file that takes longer counts as failed: a store may hang without an answer. @defaultValue 300, more for a segment of more than 300 MiB */
  fileTimeoutSeconds?: number;
  /** Waited for after each file that is in the repository now: a pass over a long backlog takes hours. */
  onShipped?: (file: string) => Promise<void>;
};

const mib = 1024 * 1024;

export const emptyPass = (repository: string): ShipPass => ({
  repository,
  shipped: [],
  refused: [],
  waiting: [],
  conflicts: [],
  missed: [],
  keyProblem: null,
  error: null,
});

/**
 * One look at the spool, in archive order. Some segments are on their way at the same time, because compression, encryption
 * and waiting for the disk overlap; each leaves the spool on its own, after its own bytes are durable. When one fails, no
 * later one is begun, so the archive never runs far ahead of a gap. The caller holds the spool's lock.
 * @throws {PgproofError} the signal's reason; nothing else.
 */
export async function shipWaiting(lane: Lane, options: PassOptions): Promise<ShipPass> {
  const { target, custody, spool } = lane;
  const { signal } = options;
  const pass = emptyPass(target.name);
  try {
    const spooled = await readSpool(spool);
    pass.keyProblem = await lane.refreshKeys(); // behind the look: what is published after a rotation is sealed by it
    const cluster = await lane.cluster(signal);
    const files = custody.wanted(target, spooled);
    // One that was away is asked with an empty spool, too: otherwise each new segment would find out, and alarm, anew.
    if (files.length > 0 || custody.isAway(target)) {
      const known = await gatherKnown(cluster, { signal, files });
      await shipInOrder(files, { cluster, target, custody, spool, known, signal }, options, pass);
    }
  } catch (error) {
    throwIfAborted(signal);
    pass.error = asPgproofError(error);
  }
  throwIfAborted(signal);
  await custody.setAway(target, pass.error !== null);
  pass.missed = custody.takeMissed(target);
  pass.shipped.sort();
  return pass;
}

async function shipInOrder(
  files: readonly SpoolFile[],
  context: ShipContext,
  options: PassOptions,
  pass: ShipPass,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < files.length && pass.error === null && !options.signal.aborted) {
      const file = files[next] as SpoolFile;
      next += 1;
      try {
        const outcome = await ship(file, context, options);
        note(pass, file, outcome);
        if (outcome.kind === 'shipped') await options.onShipped?.(file.name);
      } catch (error) {
        pass.error ??= asPgproofError(error);
      }
    }
  };
  await Promise.all(Array.from({ length: parallelism(files) }, lane));
}

async function ship(
  file: SpoolFile,
  context: ShipContext,
  { signal, fileTimeoutSeconds = Math.max(300, file.bytes / mib) }: PassOptions,
): Promise<Outcome> {
  const deadline = AbortSignal.timeout(fileTimeoutSeconds * 1000);
  try {
    return await shipFile(file, { ...context, signal: AbortSignal.any([signal, deadline]) });
  } catch (error) {
    if (deadline.aborted && !signal.aborted) {
      throw new PgproofError('store-unreachable', `'${file.name}' could not be stored within ${fileTimeoutSeconds} s`, {
        facts: { file: file.name, timeoutSeconds: fileTimeoutSeconds },
        cause: error,
      });
    }
    if (error instanceof PgproofError || signal.aborted) throw error;
    if (context.custody.isGone(file)) return { kind: 'released' };
    // The repository's errors are ours, so this one is the spool's disk: one file that it cannot read must not stop the others.
    return { kind: 'waiting', error: unreadable(file, error) };
  }
}

function note(pass: ShipPass, { name: file }: SpoolFile, outcome: Outcome): void {
  switch (outcome.kind) {
    case 'shipped':
      pass.shipped.push(file);
      if (outcome.conflict !== undefined) pass.conflicts.push(outcome.conflict);
      return;
    case 'refused':
      pass.refused.push({ file, error: outcome.error });
      return;
    case 'waiting':
      pass.waiting.push({ file, error: outcome.error });
      return;
    case 'released':
  }
}

/** Each holds a whole segment in memory: 64 MiB of them at most, unless one is larger. */
function parallelism(files: readonly SpoolFile[]): number {
  const largest = Math.max(...files.map(({ bytes }) => bytes), 1);
  return Math.min(4, Math.max(1, Math.floor((64 * mib) / largest)));
}

function unreadable(file: SpoolFile, cause: unknown): PgproofError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new PgproofError('spool-invalid', `'${file.name}' in the spool cannot be handled: ${message}`, {
    facts: { file: file.name, path: file.path },
    hint: 'Look after the disk that the spool lies on: this file may be nowhere else.',
    cause,
  });
}
