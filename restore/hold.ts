import { PgproofError } from '../core/errors.ts';
import { type EraNeeds, type Hold, isInForce, type WalRange } from '../core/hold.ts';
import { compareLsn } from '../core/lsn.ts';
import type { Run } from '../core/run.ts';
import type { TimelineId } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { commitState } from '../repository/commit-state.ts';
import { rangeOf } from '../repository/cuts.ts';
import { type Held, heldSeconds, holdInEach, letGo, narrowHeld, releaseEarlier } from '../repository/held.ts';
import { listHolds } from '../repository/holds.ts';
import { listWalIn } from '../repository/merged.ts';
import { backupShelf } from '../repository/shelf.ts';
import type { RestorePlan } from './record.ts';

/** For whom it is held: a restore or a drill renews what it holds; of a plan nobody knows when it will be carried out. */
type For = { operation: Extract<Hold['operation'], 'plan' | 'restore' | 'drill'>; reason: string | null };

const day = 86_400;
/** Planning reads WAL: in a large archive for hours. What a killed one leaves keeps everything for so long. */
const planningSeconds = day;
/** From the end of planning on. A plan that is older is carried out, too, where nothing of it was deleted. */
const plannedSeconds = 7 * day;

/**
 * Holds everything in every repository at hand while `use` looks for what is needed, and after it only that. When `use` fails,
 * nothing is held. A repository that takes no hold is no reason not to restore: it is said.
 */
export async function holding<Plan extends RestorePlan>(
  cluster: ProtectedCluster,
  whom: For,
  { signal }: Pick<Run, 'signal'>,
  use: (held: Held) => Promise<Plan>,
): Promise<{ plan: Plan; held: Held }> {
  const held = await holdInEach(cluster, { ...whom, seconds: planningSeconds }, null, { signal });
  try {
    const plan = await use(held);
    const seconds = whom.operation === 'plan' ? plannedSeconds : heldSeconds;
    await narrowHeld(held, { needs: [needsOf(plan)], seconds }, { signal });
    return { plan, held };
  } catch (error) {
    await letGo(held);
    throw error;
  }
}

/**
 * Holds what a plan needs while it is carried out, by who has the plan's lock: what an earlier one of it still holds is released.
 * @throws {PgproofError} `backup-deleted` when some of it is there no more.
 */
export async function holdPlanned(cluster: ProtectedCluster, plan: RestorePlan, run: Run): Promise<Held> {
  const whom = { operation: 'restore', reason: `plan ${plan.id}` } as const;
  const { held } = await holding(cluster, whom, run, async (now) => {
    await refuseDeleted(cluster, plan, now, run);
    return plan;
  });
  await releaseEarlier(cluster, whom, held);
  return held;
}

export function needsOf({ era, backupId, inventory }: RestorePlan): EraNeeds {
  const wal = new Map<TimelineId, WalRange>();
  for (const { name } of inventory.segments) {
    const { timeline, from, to } = rangeOf(name, inventory.segmentBytes);
    const known = wal.get(timeline) ?? { timeline, from, to };
    const isEarlier = compareLsn(from, known.from) < 0;
    const isLater = to !== null && known.to !== null && compareLsn(to, known.to) > 0;
    wal.set(timeline, { timeline, from: isEarlier ? from : known.from, to: isLater ? to : known.to });
  }
  return { era, backups: [backupId], wal: [...wal.values()] };
}

/** Only where every repository was asked: one that is away may have what the others lack. */
async function refuseDeleted(cluster: ProtectedCluster, plan: RestorePlan, held: Held, { signal }: Run): Promise<void> {
  if (cluster.unavailable.length > 0 || held.notes.length > 0 || (await isHeldSince(cluster, plan, signal))) return;
  const { repositories, name } = cluster;
  const { era, backupId, inventory } = plan;
  const states = await Promise.all(
    repositories.map((repository) => commitState(repository, backupShelf(name, era), backupId, { signal })),
  );
  const isThere = states.some(({ committed, tombstones }) => committed && tombstones.length === 0);
  const { listing } = await listWalIn(repositories, name, inventory, { signal });
  const lost = inventory.segments.find(({ name: segment, tag }) => !listing.get(segment)?.includes(tag));
  if (isThere && lost === undefined) return;
  const what = isThere ? `the WAL segment ${lost?.name}` : `the backup ${backupId}`;
  throw new PgproofError('backup-deleted', `${what}, which plan ${plan.id} needs, is not there any more`, {
    facts: { plan: plan.id, backup: backupId, plannedAt: plan.createdAt },
    hint: 'Its hold had ended. Plan the restore again.',
  });
}

/** Whether the plan's own hold has kept everything until now in one of the repositories: then there is nothing to look for. */
async function isHeldSince(
  { repositories, name }: ProtectedCluster,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<boolean> {
  for (const { repositoryId, id } of plan.holds) {
    const repository = repositories.find((one) => one.id === repositoryId);
    if (repository === undefined) return false;
    const hold = (await listHolds(repository, name, { signal })).find((one) => one.id === id);
    if (hold === undefined || !isInForce(hold, new Date())) return false;
  }
  return plan.holds.length > 0;
}
