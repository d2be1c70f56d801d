import type { ExpiredWal } from '../core/expired.ts';
import { joinRanges } from '../core/retention/cuts.ts';
import type { RetentionPlan } from '../core/retention/plan.ts';
import type { WalPlan } from '../core/retention/wal.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Cut, cutWal } from '../repository/cut-wal.ts';
import { listCuts } from '../repository/cuts.ts';
import type { EraRecord } from '../repository/record.ts';
import type { Gathered } from './facts.ts';
import { asExpired, planWalBehind } from './plan.ts';

/**
 * Takes away the WAL that nothing needs any more.
 * @param gathered as it is once the backups are gone: what stayed keeps its WAL.
 */
export async function deleteWal(
  { repository, name }: ProtectedCluster,
  gathered: Gathered,
  plan: RetentionPlan,
  { signal, progress }: Run,
): Promise<ExpiredWal[]> {
  const expired: ExpiredWal[] = [];
  for (const wal of planWalBehind(gathered, plan, new Set())) {
    const era = gathered.eras.find((each) => each.era === wal.era) as EraRecord;
    if (wal.cuts.length === 0) {
      expired.push(asExpired(wal));
      continue;
    }
    progress({ phase: `WAL in ${repository.name}`, note: `${wal.segments} segments of ${wal.era}` });
    const options = { signal, now: new Date(plan.reference), known: gathered.records, reason: 'expired' };
    // One cut that says all that went: otherwise each day would leave another.
    const before = (await listCuts(repository, name, wal.era, { signal })).flatMap(({ ranges }) => ranges);
    const joined = await cutWal(repository, name, era, joinRanges([...before, ...wal.cuts]), options);
    const cut = joined.outcome === 'cut' ? joined : await cutWal(repository, name, era, wal.cuts, options);
    expired.push(told(wal, cut));
  }
  return expired;
}

function told(wal: WalPlan, cut: Cut): ExpiredWal {
  if (cut.outcome === 'cut') {
    const { segments, bytes, retained } = cut;
    return { ...asExpired(wal), segments, bytes, retained };
  }
  const by = cut.outcome === 'held' ? cut.holds.map(({ id }) => `hold ${id}`) : cut.by;
  const stays = wal.stays + wal.segments;
  return { ...asExpired({ ...wal, cuts: [], segments: 0, stays }), stayed: `needed by ${by.join(', ')}` };
}
