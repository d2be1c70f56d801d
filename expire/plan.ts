import type { ExpiredRepository, ExpiredWal } from '../core/expired.ts';
import type { DumpPlan } from '../core/retention/dumps.ts';
import type { RetentionRules } from '../core/retention/facts.ts';
import { planRetention, type RetentionPlan } from '../core/retention/plan.ts';
import { planWal, type WalPlan } from '../core/retention/wal.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { dumpsAsPlanned } from './dumps.ts';
import type { Gathered } from './facts.ts';

/** In a report; of a dry run, all. */
const most = 100;

/** The rules of this repository: its own, where it has some. */
export function rulesOf({ config, repository }: ProtectedCluster): RetentionRules {
  const { repositories, ...rules } = config.retention;
  return repositories[repository.name] ?? rules;
}

export function planBackups(cluster: ProtectedCluster, { facts }: Gathered, timezone: string): RetentionPlan {
  return planRetention(facts, rulesOf(cluster), { now: Date.now(), timezone });
}

/** Of what is there when these backups are gone. */
export function planWalBehind({ facts }: Gathered, plan: RetentionPlan, gone: ReadonlySet<string>): WalPlan[] {
  const left = { ...facts, backups: facts.backups.filter(({ id }) => !gone.has(id)) };
  return planWal(left, plan, { reference: plan.reference });
}

/** What would be done, before anything is. */
export function asPlanned(
  repository: string,
  { facts }: Gathered,
  plan: RetentionPlan,
  dumps: DumpPlan,
): ExpiredRepository {
  const bytes = new Map(facts.backups.map(({ id, storedBytes }) => [id, storedBytes]));
  const wal = planWalBehind({ facts, records: [], eras: [] }, plan, new Set(plan.delete.map(({ id }) => id)));
  return {
    repository,
    outcome: 'planned',
    kept: plan.keep,
    keptBackups: plan.keep.length,
    deleted: plan.delete.map((one) => ({
      ...one,
      outcome: 'planned' as const,
      detail: null,
      bytes: bytes.get(one.id) ?? 0,
    })),
    deletedBackups: plan.delete.length,
    wal: wal.map(asExpired),
    dumps: dumpsAsPlanned(dumps),
    refusals: [...plan.refusals, ...dumps.refusals],
    notes: [...plan.notes, ...dumps.notes],
    endedHolds: 0,
    error: null,
  };
}

/** So that it can travel, and lie in a report. */
export function shortened(expired: ExpiredRepository): ExpiredRepository {
  const { kept, deleted, dumps } = expired;
  return {
    ...expired,
    kept: kept.slice(-most),
    deleted: deleted.slice(0, most),
    dumps: { ...dumps, kept: dumps.kept.slice(-most), deleted: dumps.deleted.slice(0, most) },
  };
}

export function asExpired({ era, cuts, segments, stays, doubt }: WalPlan): ExpiredWal {
  return { era, cuts: cuts.slice(0, most), segments, bytes: 0, retained: 0, stays, stayed: doubt };
}
