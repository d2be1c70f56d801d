import { throwIfAborted } from '../core/abort.ts';
import { partOf } from '../core/dump-part.ts';
import type { ExpiredDumps } from '../core/expired.ts';
import { holdsDump } from '../core/hold.ts';
import { type DumpFacts, type DumpPlan, type DumpsFacts, planDumps, provenDumps } from '../core/retention/dumps.ts';
import type { RepositoryFacts } from '../core/retention/facts.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { bury, unfinishedDeletions } from '../repository/delete.ts';
import { dumpParts, listDumps, readDumpRecord } from '../repository/dumps.ts';
import type { DumpRecord } from '../repository/record.ts';
import { dumpShelf } from '../repository/shelf.ts';
import { finishedText, provenMeanwhile, told } from './buried.ts';
import type { Proofs } from './proofs.ts';

/**
 * What retention of dumps is planned from.
 * @param proofs read before the holds that `facts` has. @param facts of the backups: their holds are those of dumps, too.
 */
export async function gatherDumps(
  { repository, keys, name }: ProtectedCluster,
  proofs: Proofs,
  { holds, backups }: RepositoryFacts,
  signal: AbortSignal,
): Promise<DumpsFacts> {
  const entries = await listDumps(repository, keys, name, { signal });
  return {
    dumps: entries.flatMap((entry) => (entry.state === 'whole' ? [factsOf(entry.record)] : [])),
    damaged: entries.flatMap((entry) =>
      entry.state === 'damaged' ? [{ id: entry.id, why: entry.error.message }] : [],
    ),
    proofs: proofs.dumps,
    holds,
    backupTimes: backups.map(({ stoppedAt }) => Date.parse(stoppedAt)),
  };
}

function factsOf(record: DumpRecord): DumpFacts {
  const { id, kind, database, tier, startedAt, content, selection } = record;
  const storedBytes = dumpParts(record).reduce((sum, part) => sum + part.storedBytes, 0);
  return { id, kind, database, part: partOf({ content, ...selection }), tier, startedAt, storedBytes };
}

/** By the rules of this repository: its own, where it has some. */
export function planOfDumps({ config, repository }: ProtectedCluster, facts: DumpsFacts, timezone: string): DumpPlan {
  const { dumps } = config.retention.repositories[repository.name] ?? config.retention;
  return planDumps(facts, dumps, { now: Date.now(), timezone });
}

/** What would be done, before anything is. */
export function dumpsAsPlanned(plan: DumpPlan): ExpiredDumps {
  return {
    kept: plan.keep.map(({ dump, reasons }) => ({ ...named(dump), reasons })),
    keptDumps: plan.keep.length,
    deleted: plan.delete.map(({ dump, why }) => ({
      ...named(dump),
      why,
      outcome: 'planned',
      detail: null,
      bytes: dump.storedBytes,
    })),
    deletedDumps: plan.delete.length,
  };
}

const named = ({ id, kind, database, part, tier }: DumpFacts) => ({ id, kind, database, part, tier });

/**
 * Deletes what the plan says, as far as nobody came to hold it since.
 * @returns what became of each, in the plan's order.
 */
export async function deleteDumps(
  { repository, name }: ProtectedCluster,
  plan: DumpPlan,
  { signal, progress }: Run,
): Promise<Pick<ExpiredDumps, 'deleted' | 'deletedDumps'>> {
  if (plan.delete.length === 0) return { deleted: [], deletedDumps: 0 };
  progress({ phase: `delete in ${repository.name}`, note: `${plan.delete.length} dumps` });
  const order = plan.delete.map(({ dump, why }) => ({ id: dump.id, reason: `expired: ${why}` }));
  // A clock that jumped ahead ends no hold.
  const buried = await bury(repository, dumpShelf(name), order, { signal, now: new Date(plan.reference) });
  const deleted = plan.delete.map(({ dump, why }) => ({ ...named(dump), why, ...told(buried.get(dump.id)) }));
  return { deleted, deletedDumps: deleted.filter(({ outcome }) => outcome === 'deleted').length };
}

/**
 * Ends deletions that were interrupted, unless the dump is the newest proven one of its database by now.
 * @returns sentences for the report.
 */
export async function finishDumpDeletions(
  cluster: ProtectedCluster,
  facts: DumpsFacts,
  { signal }: Run,
): Promise<string[]> {
  const { repository, name } = cluster;
  const shelf = dumpShelf(name);
  const notes: string[] = [];
  const going: { id: string; reason: string }[] = [];
  for (const one of await unfinishedDeletions(repository, shelf, { signal })) {
    const drill = await newestProof(cluster, facts, one.id, signal);
    const holds = facts.holds.filter((hold) => holdsDump(hold, one.id));
    if (drill !== null) notes.push(provenMeanwhile(`dump ${one.id}`, drill, 'dumps/'));
    else if (holds.length > 0) notes.push(finishedText(`dump ${one.id}`, { outcome: 'held', holds }));
    else going.push(one);
  }
  // Whatever the clock says: a hold counts until it was released.
  const buried = going.length === 0 ? [] : await bury(repository, shelf, going, { signal, now: new Date(0) });
  for (const [id, became] of buried) notes.push(finishedText(`dump ${id}`, became));
  return notes;
}

/** The drill that makes a dump on its way out the newest proven one. Where its record cannot be read any more, each of its drills may. */
async function newestProof(
  { repository, keys, name }: ProtectedCluster,
  { dumps, proofs }: DumpsFacts,
  id: string,
  signal: AbortSignal,
): Promise<string | null> {
  const own = proofs.findLast(({ dump }) => dump === id);
  if (own === undefined) return null;
  try {
    const record = await readDumpRecord(repository, keys, name, id, { signal });
    const newest = provenDumps([...dumps, factsOf(record)], proofs);
    return newest.find(({ dump }) => dump === id)?.drill ?? null;
  } catch {
    throwIfAborted(signal);
    return own.drill;
  }
}
