import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compactTime } from '../core/ids.ts';
import type { Run } from '../core/run.ts';
import type { Copies } from '../parts/copies.ts';
import { othersThan, type ProtectedCluster } from '../postgres/cluster.ts';
import { reapLeftovers } from '../repository/reap.ts';
import { dumpShelf } from '../repository/shelf.ts';
import { forgetAttempt, knownAttempts } from './attempt.ts';
import { endSessions } from './sessions.ts';

/** No attempt lives longer (core/timeouts.ts), so what is older is a leftover, whoever began it. */
const oldestMs = 15 * 24 * 3_600_000;

/**
 * Clears away what attempts of this host have left that are dead, and what is so old that nobody can still be at it. Dumps run beside each
 * other: what another one stores looks just the same, and only its own host knows whether it lives.
 */
export async function clearLeftovers(cluster: ProtectedCluster, copies: Copies, run: Run): Promise<void> {
  const { live, dead } = await knownAttempts(cluster);
  if (dead.length === 0 && !(await isSweepDue(cluster))) return;
  run.progress({ phase: 'clear leftovers' });
  await endSessions(cluster, dead, run.signal);
  const oldest = compactTime(new Date(Date.now() - oldestMs));
  const mayReap = (id: string): boolean => dead.includes(id) || id < oldest;
  await copies.each(run.signal, (repository, signal) =>
    reapLeftovers(repository, dumpShelf(cluster.name), {
      except: live,
      mayReap,
      ...othersThan(cluster, repository),
      signal,
    }),
  );
  // A repository that could not be asked keeps theirs, until they are old.
  for (const id of dead) await forgetAttempt(cluster, id);
  await writeFile(sweptPath(cluster), '');
}

/** Listing all dumps costs requests: where nobody died, once a day does. */
const sweepEveryMs = 24 * 3_600_000;
const sweptPath = ({ paths }: ProtectedCluster): string => join(paths.dumps, 'swept');

async function isSweepDue(cluster: ProtectedCluster): Promise<boolean> {
  const { mtimeMs } = await stat(sweptPath(cluster)).catch(() => ({ mtimeMs: 0 }));
  return Math.abs(Date.now() - mtimeMs) > sweepEveryMs;
}

/**
 * Takes back what a failed attempt has stored, in each repository that can be reached, and ends its sessions.
 * @throws what keeps it from being cleared: the next attempt does it.
 */
export async function takeBack(cluster: ProtectedCluster, own: string, signal: AbortSignal): Promise<void> {
  const shelf = dumpShelf(cluster.name);
  const mayReap = (id: string): boolean => id === own;
  const cleared = await Promise.allSettled([
    endSessions(cluster, [own], signal),
    ...cluster.written.map((repository) =>
      reapLeftovers(repository, shelf, { except: [], own, mayReap, ...othersThan(cluster, repository), signal }),
    ),
  ]);
  for (const outcome of cleared) if (outcome.status === 'rejected') throw outcome.reason;
}
