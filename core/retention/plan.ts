import { calendarOf } from './calendar.ts';
import { type Chains, chainsOf, childrenFirst } from './chains.ts';
import { clockContradiction, iso, suddenSilence } from './clock.ts';
import type { ProofFacts, RepositoryFacts, RetentionRules } from './facts.ts';
import { endedByLeap } from './leap.ts';
import { lineageOf } from './lineage.ts';
import { protectedBackups, provenBackups } from './protect.ts';
import { hasRules, type Kept, keepByRules, type Reason, ruleText } from './rules.ts';
import { type Sequence, type Standing, sequenceOf } from './sequence.ts';

export type RetentionPlan = {
  /** Each backup that stays, with all that keeps it. */
  keep: { era: string; id: string; reasons: Reason[] }[];
  /** Each that goes, children before their parents. */
  delete: { era: string; id: string; why: string }[];
  /** From its start on all WAL stays, also that of later eras; null: all WAL stays. */
  continuousFrom: string | null;
  /** What ages and the ends of holds are reckoned from: never later than the newest backup. Milliseconds since 1970. */
  reference: number;
  /** The newest proven backup of each era: its WAL stays up to where its drill came. */
  proven: ProofFacts[];
  /** Why nothing of this is deleted unless a person says so. */
  refusals: string[];
  /** What a person should know; sentences. */
  notes: string[];
};

export type PlanOptions = {
  /** Milliseconds since 1970. */
  now: number;
  /** What days, weeks, months and years are reckoned in. */
  timezone: string;
  /** At most so many backups go in one run; the next one goes on. @defaultValue 200 */
  most?: number;
};

/**
 * Decides which backups of a cluster stay in one repository. Whatever one rule keeps is kept; parents of what is kept, the newest
 * proven backup of each era, what is held, and what cannot be read stay whatever the rules say.
 */
export function planRetention(facts: RepositoryFacts, rules: RetentionRules, options: PlanOptions): RetentionPlan {
  const { now, timezone, most = 200 } = options;
  const lineages = new Map(facts.eras.map((era) => [era.era, lineageOf(era)]));
  const chains = chainsOf(facts.backups, facts.damaged);
  const sequence = sequenceOf(facts, lineages, chains);
  const newest = sequence.main.at(-1);
  const proven = provenBackups(facts, chains);
  if (newest === undefined || !hasRules(rules)) return keepAll(facts, proven, newest, now);

  const reference = Math.min(now, newest.at);
  const { kept, continuousFrom } = keepByRules(sequence.main, rules, reference, calendarOf(timezone), chains);
  kept.push(...keepBranched(sequence, continuousFrom), ...protectedBackups(facts, chains, proven, reference));
  const reasons = withParents(kept, chains);
  const ids = facts.backups.map(({ id }) => id).filter((id) => !reasons.has(id));
  const doomed = childrenFirst(inOrder(ids, sequence), chains);
  const going = doomed.slice(0, most);
  for (const id of doomed.slice(most)) reasons.set(id, [{ rule: 'later', because: `at most ${most} go in one run` }]);
  return {
    ...split(facts, reasons, new Set(going), going, ruleText(rules, reference)),
    continuousFrom: continuousFrom.id,
    reference,
    proven,
    refusals: refusalsOf(facts, sequence, new Set(doomed), rules, { now, reference }),
    notes: notesOf(facts, proven, reasons),
  };
}

function keepAll(
  facts: RepositoryFacts,
  proven: ProofFacts[],
  newest: Standing | undefined,
  now: number,
): RetentionPlan {
  const because = newest === undefined ? 'no backup here can be restored by itself' : 'there is no rule';
  const reasons = new Map(facts.backups.map(({ id }): [string, Reason[]] => [id, [{ rule: 'no-rules', because }]]));
  const { keep } = split(facts, reasons, new Set(), [], '');
  return {
    keep,
    delete: [],
    continuousFrom: null,
    reference: Math.min(now, newest?.at ?? now),
    proven,
    refusals: [],
    notes: [],
  };
}

/** What an old primary has left stays as long as the time from which all is kept. */
function keepBranched({ branched }: Sequence, { at }: Standing): Kept[] {
  const young = branched.filter((backup) => backup.at >= at);
  return young.map(({ id }) => ({
    id,
    reason: { rule: 'branch', because: `of a timeline that was left since ${iso(at)}` },
  }));
}

function withParents(kept: readonly Kept[], { parentsOf }: Chains): Map<string, Reason[]> {
  const reasons = new Map<string, Reason[]>();
  const add = (id: string, reason: Reason): void => void reasons.set(id, [...(reasons.get(id) ?? []), reason]);
  for (const { id, reason } of kept) add(id, reason);
  for (const id of [...reasons.keys()])
    for (const parent of parentsOf(id) ?? []) add(parent, { rule: 'parent', because: `of ${id}` });
  return reasons;
}

/** Oldest first. */
function inOrder(ids: readonly string[], { main, branched }: Sequence): string[] {
  const wanted = new Set(ids);
  return [...branched, ...main].map(({ id }) => id).filter((id) => wanted.has(id));
}

function split(
  { backups, damaged }: RepositoryFacts,
  reasons: ReadonlyMap<string, Reason[]>,
  doomed: ReadonlySet<string>,
  order: readonly string[],
  why: string,
): Pick<RetentionPlan, 'keep' | 'delete'> {
  const eras = new Map(backups.map(({ id, era }) => [id, era]));
  const stay = backups.filter(({ id }) => !doomed.has(id));
  const lost: Reason[] = [{ rule: 'damaged', because: 'its record cannot be trusted' }];
  return {
    keep: [
      ...stay.map(({ era, id }) => ({ era, id, reasons: reasons.get(id) ?? [] })),
      ...damaged.map(({ era, id }) => ({ era, id, reasons: lost })),
    ],
    delete: order.map((id) => ({ era: eras.get(id) as string, id, why })),
  };
}

function refusalsOf(
  { backups, holds }: RepositoryFacts,
  { main }: Sequence,
  doomed: ReadonlySet<string>,
  { window, wal }: RetentionRules,
  { now, reference }: { now: number; reference: number },
): string[] {
  const refusals: string[] = [];
  const times = main.map(({ at }) => at);
  const ended = endedByLeap(holds, times, reference, 'backup');
  if (ended !== null) refusals.push(ended);
  if (doomed.size === 0) return refusals;
  const clock = clockContradiction(times, now);
  if (clock !== null) refusals.push(`the clock cannot be right: ${clock}`);
  const rule = [window, wal].filter((seconds) => seconds !== undefined && seconds > 0) as number[];
  const silence = rule.length === 0 ? null : suddenSilence(times, Math.min(...rule) * 1000);
  if (silence !== null && main.slice(0, silence.before).some(({ id }) => doomed.has(id)))
    refusals.push(
      `no backup was made between ${iso(silence.from)} and ${iso(silence.to)}, or a clock jumped: what was made before only looks old`,
    );
  if (doomed.size * 2 > backups.length)
    refusals.push(`${doomed.size} of ${backups.length} backups would go, more than half`);
  return refusals;
}

function notesOf(
  { eras, backups, damaged }: RepositoryFacts,
  proven: readonly ProofFacts[],
  reasons: ReadonlyMap<string, Reason[]>,
): string[] {
  const notes: string[] = [];
  for (const { era, doubt } of eras) {
    const own = backups.filter((backup) => backup.era === era);
    if (doubt !== null) notes.push(`Nothing of era ${era} is deleted: ${doubt}.`);
    if (own.length === 0) continue;
    const proof = proven.find(({ backup }) => own.some(({ id }) => id === backup));
    if (proof === undefined) notes.push(`No backup of era ${era} in this repository was ever proven: run a drill.`);
    else if ((reasons.get(proof.backup) ?? []).every(({ rule }) => rule === 'proof'))
      notes.push(
        `Backup ${proof.backup} and WAL up to the target of its drill stay only because nothing newer of era ${era} was proven since ${proof.at}: run a drill.`,
      );
  }
  for (const { id, why } of damaged) notes.push(`Backup ${id} is damaged and is left alone: ${why}.`);
  return notes;
}
