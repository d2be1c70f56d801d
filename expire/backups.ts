import type { ExpiredRepository } from '../core/expired.ts';
import { holdsBackup } from '../core/hold.ts';
import { chainsOf } from '../core/retention/chains.ts';
import type { RetentionPlan } from '../core/retention/plan.ts';
import { provenBackups } from '../core/retention/protect.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Buried, bury, unfinishedDeletions } from '../repository/delete.ts';
import { backupShelf } from '../repository/shelf.ts';
import { finishedText, provenMeanwhile, told } from './buried.ts';
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
      if (proof !== undefined) notes.push(provenMeanwhile(`backup ${one.id}`, proof.drill, 'backups/'));
      else if (holds.length > 0) notes.push(finishedText(`backup ${one.id}`, { outcome: 'held', holds }));
      else going.push(one);
    }
    if (going.length === 0) continue;
    // Whatever the clock says: a hold counts until it was released.
    const options = { signal, now: new Date(0), known: records };
    for (const [id, buried] of await bury(repository, backupShelf(name, era), going, options))
      notes.push(finishedText(`backup ${id}`, buried));
  }
  return notes;
}
