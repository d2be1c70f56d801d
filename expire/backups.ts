import type { ExpiredRepository } from '../core/expired.ts';
import { formatBytes } from '../core/format.ts';
import type { RetentionPlan } from '../core/retention/plan.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Buried, buryBackups, unfinishedDeletions } from '../repository/delete.ts';
import { listEras } from '../repository/eras.ts';
import type { Gathered } from './facts.ts';

type Deleted = ExpiredRepository['deleted'][number];

/**
 * Deletes what the plan says, as far as nobody came to need it since.
 * @returns what became of each, in the plan's order.
 */
export async function deleteBackups(
  { repository, name }: ProtectedCluster,
  { records, eras }: Gathered,
  plan: RetentionPlan,
  { signal, progress }: Run,
): Promise<Deleted[]> {
  const buried = new Map<string, Buried>();
  for (const { era } of eras) {
    const wanted = plan.delete.filter((one) => one.era === era);
    if (wanted.length === 0) continue;
    progress({ phase: `delete in ${repository.name}`, note: `${wanted.length} backups of ${era}` });
    const order = wanted.map(({ id, why }) => ({ id, reason: `expired: ${why}` }));
    // A clock that jumped ahead ends no hold.
    const options = { signal, now: new Date(plan.reference), known: records };
    for (const [id, outcome] of await buryBackups(repository, name, era, order, options)) buried.set(id, outcome);
  }
  return plan.delete.map((one) => ({ ...one, ...told(buried.get(one.id)) }));
}

/** Ends deletions that were interrupted. @returns sentences for the report. */
export async function finishDeletions({ repository, name }: ProtectedCluster, { signal }: Run): Promise<string[]> {
  const notes: string[] = [];
  for (const { era } of await listEras(repository, name, { signal })) {
    const wanted = await unfinishedDeletions(repository, name, era, { signal });
    if (wanted.length === 0) continue;
    // Whatever the clock says: a hold counts until it was released.
    const buried = await buryBackups(repository, name, era, wanted, { signal, now: new Date(0) });
    for (const [id, outcome] of buried) {
      const { outcome: became, detail } = told(outcome);
      const what = became === 'deleted' ? 'was ended' : `goes on later: ${detail}`;
      notes.push(`The deletion of backup ${id}, which had been interrupted, ${what}.`);
    }
  }
  return notes;
}

function told(buried: Buried | undefined): Pick<Deleted, 'outcome' | 'detail' | 'bytes'> {
  if (buried === undefined) return { outcome: 'stayed', detail: 'it was not asked for', bytes: 0 };
  if (buried.outcome === 'deleted')
    return {
      outcome: 'deleted',
      detail: `${buried.objects} objects, ${formatBytes(buried.bytes)}`,
      bytes: buried.bytes,
    };
  if (buried.outcome === 'retained') return { outcome: 'retained', detail: buried.detail, bytes: 0 };
  const by = buried.outcome === 'held' ? buried.holds.map(({ id }) => `hold ${id}`) : buried.by;
  return { outcome: 'stayed', detail: `needed by ${by.join(', ')}`, bytes: 0 };
}
