import { createHash } from 'node:crypto';
import { asPgproofError, hasCode } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { Repaired } from '../core/verified.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { assertOwner } from '../repository/owner.ts';
import type { Repository } from '../repository/repository.ts';
import type { Damage, Findings } from './findings.ts';
import type { Known } from './known.ts';
import { forgetReplacing, noteReplacing } from './replacing.ts';
import type { Source } from './source.ts';
import { sourceFor } from './sources.ts';

/**
 * Replaces what is damaged or missing by a whole copy from another repository of the cluster. The copy is read and checked where it
 * is first; only then the damaged object goes, and the new one is read back before it counts as repaired. What a backup or a dump needs comes
 * before its commit file.
 * @throws {PgproofError} `owner-other` before anything is written.
 */
export async function repairAll(cluster: ProtectedCluster, known: Known, findings: Findings, run: Run): Promise<void> {
  const others = cluster.repositories.filter(({ id }) => id !== cluster.repository.id);
  if (findings.open.length > 0) await assertOwner(cluster.repository, cluster, { signal: run.signal });
  const open = findings.open.filter(({ kind }) => kind !== 'conflict').sort((a, b) => rankOf(a) - rankOf(b));
  for (const [index, damage] of open.entries()) {
    run.progress({ phase: 'repair', note: `${index + 1} of ${open.length}: ${damage.object}` });
    damage.repair = await repairOne(cluster, known, others, damage, findings, run);
  }
}

/** A commit file goes last: from then on its backup, or its dump, is there. */
function rankOf({ subject, object }: Damage): number {
  if (subject.of !== 'backup' && subject.of !== 'dump')
    return ['era', 'history', 'wal', 'repository'].indexOf(subject.of);
  return object.endsWith('.json') ? 5 : 4;
}

async function repairOne(
  cluster: ProtectedCluster,
  known: Known,
  others: readonly Repository[],
  damage: Damage,
  findings: Findings,
  run: Run,
): Promise<Repaired> {
  const refusals: string[] = [];
  for (const other of others) {
    try {
      const source = await sourceFor(cluster, inRepository(cluster, other), known, damage, findings, run.signal);
      if (source === null) continue;
      return await putInPlace(cluster, other, source, damage, run.signal);
    } catch (error) {
      const known = asPgproofError(error);
      if (run.signal.aborted || known.code === 'internal' || known.code === 'cancelled') throw known;
      if (known.code === 'object-retained')
        return { outcome: 'retained', from: other.name, detail: `it cannot be replaced: ${known.message}` };
      refusals.push(`${other.name}: ${known.message}`);
    }
  }
  if (refusals.length > 0) return { outcome: 'failed', from: null, detail: refusals.join('; ') };
  return { outcome: 'no-source', from: null, detail: 'no other repository of this cluster has it' };
}

/** The source was read and found whole. */
async function putInPlace(
  cluster: ProtectedCluster,
  there: Repository,
  source: Source,
  damage: Damage,
  signal: AbortSignal,
): Promise<Repaired> {
  const { repository: here } = cluster;
  if (await source.isWholeHere().catch(notWhole)) {
    source.done();
    return { outcome: 'repaired', from: null, detail: 'it is whole by now; somebody else has replaced it' };
  }
  const sha256 = source.sha256 ?? (await hashOf(there, source.key, signal));
  if (damage.kind === 'damaged') {
    if (damage.subject.of === 'wal') await noteReplacing(cluster, source.key);
    await here.store.remove(source.key, { signal });
  }
  const arrived = await put(here, there, source, sha256, signal);
  if (arrived && (await source.isWholeHere().catch(notWhole))) {
    if (damage.subject.of === 'wal') await forgetReplacing(cluster, source.key);
    source.done();
    return { outcome: 'repaired', from: there.name, detail: `a whole copy was taken from repository ${there.name}` };
  }
  await here.store.remove(source.key, { signal });
  return {
    outcome: 'failed',
    from: there.name,
    detail: 'the copy did not arrive as it was read, and was removed again',
  };
}

/** As it is stored there. @returns whether the store says that it took the same bytes. */
async function put(
  here: Repository,
  there: Repository,
  source: Source,
  sha256: string,
  signal: AbortSignal,
): Promise<boolean> {
  if (source.put !== undefined) {
    await source.put();
    return true;
  }
  const created = await here.store.create(source.key, await there.store.read(source.key, { signal }), { signal });
  return created.sha256 === sha256;
}

function notWhole(error: unknown): false {
  const known = asPgproofError(error);
  if (known.permanent && !hasCode(known, 'internal', 'cancelled', 'store-denied')) return false;
  throw known;
}

async function hashOf({ store }: Repository, key: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of await store.read(key, { signal })) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}
