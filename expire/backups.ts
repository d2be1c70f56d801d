import type { ExpiredRepository } from '../core/expired.ts';
import { formatBytes } from '../core/format.ts';
import { holdsBackup } from '../core/hold.ts';
import { chainsOf } from '../core/retention/chains.ts';
import type { RetentionPlan } from '../core/retention/plan.ts';
import { provenBackups } from '../core/retention/protect.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Buried, bury, unfinishedDeletions } from '../repository/delete.ts';
import { backupShelf } from '../repository/shelf.ts';
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
    for (const [id, outcome] of await bury(repository, backupShelf(name, era), order, options)) buried.set(id, outcome);
  }
  return plan.delete.map((one) => ({ ...one, ...told(buried.get(one.id)) }));
}

/**
 * Ends deletions that were interrupted, unless the backup is the newest proven one of its era by now.
 * @returns sentences for the report.
 */
export async function finishDeletions(
  { repository, name }: ProtectedCluster,
  { facts, records, eras }: Gathered,
  { signal }: Run,
): Promise<string[]> {
  const notes: string[] = [];
  const proven = provenBackups(facts, chainsOf(facts.backups, facts.damaged));
  const isPlaced = (id: string) => facts.leaving.some((one) => one.id === id);
  for (const { era } of eras) {
    const going: { id: string; reason: string }[] = [];
    for (const one of await unfinishedDeletions(repository, backupShelf(name, era), { signal })) {
      // Where nobody knows its place, each proof may be the newest.
      const proof = (isPlaced(one.id) ? proven : facts.proofs).find(({ backup }) => backup === one.id);
      const holds = facts.holds.filter((hold) => holdsBackup(hold, era, one.id));
      if (proof !== undefined) notes.push(provenMeanwhile(one.id, proof.drill));
      else if (holds.length > 0) notes.push(finishedText(one.id, { outcome: 'held', holds }));
      else going.push(one);
    }
    if (going.length === 0) continue;
    // Whatever the clock says: a hold counts until it was released.
    const options = { signal, now: new Date(0), known: records };
    for (const [id, buried] of await bury(repository, backupShelf(name, era), going, options))
      notes.push(finishedText(id, buried));
  }
  return notes;
}

const provenMeanwhile = (id: string, drill: string): string =>
  `The deletion of backup ${id} had been interrupted, and drill ${drill} has proven the backup: it is not ended, and the backup stays out of the list. When a newer one is proven, it goes. To have it back: when no pgproof works on the cluster, remove its .deleted.json files below backups/, and run verify.`;

function finishedText(id: string, buried: Buried): string {
  const { outcome, detail } = told(buried);
  const what = outcome === 'deleted' ? 'was ended' : `goes on later: ${detail}`;
  return `The deletion of backup ${id}, which had been interrupted, ${what}.`;
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
