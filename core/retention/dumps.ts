import type { DumpRetentionConfig } from '../config.ts';
import { type DumpSubject, subjectName } from '../dump-run.ts';
import { type Hold, holdsDump, isInForce } from '../hold.ts';
import { calendarOf, periods } from './calendar.ts';
import { iso, suddenSilence, toleranceMs } from './clock.ts';
import { endedByLeap } from './leap.ts';
import { hasRules, isSet, newestOfEach, type Reason, ruleText } from './rules.ts';

/*
 * Which dumps of a cluster stay in one repository. A dump needs no other one and no WAL: what is counted is each database by itself,
 * and in it each tier. No WAL says in which order dumps were made, so that one that is later than the clock is left out of all counting.
 */

/** A dump whose record can be trusted. */
export type DumpFacts = DumpSubject & {
  id: string;
  /** What of its subject it holds; null: all. */
  part: string | null;
  tier: string;
  /** When its snapshot was taken, by the server's clock. */
  startedAt: string;
  storedBytes: number;
};

/** A drill that restored a dump, and passed. */
export type DumpProof = { drill: string; dump: string; at: string };

export type DumpsFacts = {
  dumps: readonly DumpFacts[];
  damaged: readonly { id: string; why: string }[];
  proofs: readonly DumpProof[];
  /** Those that were not released. */
  holds: readonly Hold[];
  /** When backups were made: a silence between dumps is none in which backups went on. Milliseconds. */
  backupTimes: readonly number[];
};

export type DumpPlan = {
  /** Each dump that stays, with all that keeps it; oldest first. */
  keep: { dump: DumpFacts; reasons: Reason[] }[];
  /** Each that goes, oldest first. */
  delete: { dump: DumpFacts; why: string }[];
  /** What the ends of holds are reckoned from: never later than the newest of what was made. Milliseconds since 1970. */
  reference: number;
  /** Why nothing of this is deleted unless a person says so. */
  refusals: string[];
  /** What a person should know; sentences. */
  notes: string[];
};

export type DumpPlanOptions = {
  /** Milliseconds since 1970. */
  now: number;
  /** What days, weeks, months and years are reckoned in. */
  timezone: string;
  /** At most so many dumps go in one run; the next one goes on. @defaultValue 1000 */
  most?: number;
};

type Dated = DumpFacts & { at: number };

/**
 * Decides which dumps stay. Whatever one rule keeps is kept; the newest dump of each database, its newest proven one, and what is held
 * stay whatever the rules say, and so does all of a tier that has none.
 */
export function planDumps(facts: DumpsFacts, tiers: DumpRetentionConfig, options: DumpPlanOptions): DumpPlan {
  const { now, timezone, most = 1000 } = options;
  const all = facts.dumps.map((dump) => ({ ...dump, at: Date.parse(dump.startedAt) })).sort(byTime);
  const believed = all.filter(({ at }) => at <= now + toleranceMs);
  const times = [...believed.map(({ at }) => at), ...facts.backupTimes.filter((at) => at <= now + toleranceMs)];
  times.sort((a, b) => a - b);
  const reference = Math.min(now, times.at(-1) ?? now);
  const reasons = new Map<string, Reason[]>();
  const keep: Keep = (rule, because, dumps) => {
    for (const { id } of dumps) reasons.set(id, [...(reasons.get(id) ?? []), { rule, because }]);
  };
  keepDoubtful(all, now, keep);
  keepProtected(believed, facts, reference, keep);
  const whys = keepByTiers(believed, tiers, timezone, keep);
  const doomed = all.filter(({ id }) => !reasons.has(id));
  keep('later', `at most ${most} go in one run`, doomed.slice(most));
  return {
    keep: all.flatMap((dump) => (reasons.has(dump.id) ? [{ dump, reasons: reasons.get(dump.id) as Reason[] }] : [])),
    delete: doomed.slice(0, most).map((dump) => ({ dump, why: whys.get(dump.id) as string })),
    reference,
    refusals: refusalsOf(facts, { all, doomed, times, reference, tiers }),
    notes: notesOn(facts, believed, reasons),
  };
}

/** The newest dump of each database, of those that hold the same of it, that a drill has proven; with that dump's newest drill. */
export function provenDumps(dumps: readonly DumpFacts[], proofs: readonly DumpProof[]): DumpProof[] {
  const dated = dumps.map((dump) => ({ ...dump, at: Date.parse(dump.startedAt) })).sort(byTime);
  const drills = Map.groupBy(
    proofs.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at)),
    ({ dump }) => dump,
  );
  return seriesOf(dated).flatMap((series) => {
    const newest = series.findLast(({ id }) => drills.has(id));
    return newest === undefined ? [] : (drills.get(newest.id) as DumpProof[]).slice(-1);
  });
}

/** `shop`, `shop (schema only)`, `the globals`. */
export function seriesName({ part, ...subject }: DumpSubject & Pick<DumpFacts, 'part'>): string {
  return part === null ? subjectName(subject) : `${subjectName(subject)} (${part})`;
}

type Keep = (rule: Reason['rule'], because: string, dumps: readonly DumpFacts[]) => void;

const byTime = (a: Dated, b: Dated): number => a.at - b.at || (a.id < b.id ? -1 : 1);

/** Dumps that stand in for each other. @param dumps oldest first, as each of the answer is. */
function seriesOf(dumps: readonly Dated[]): Dated[][] {
  const key = ({ kind, database, part }: Dated): string => JSON.stringify([kind, database, part]);
  return [...Map.groupBy(dumps, key).values()];
}

/** Either their stamp is wrong or this clock: nobody can tell what they are newer than. */
function keepDoubtful(all: readonly Dated[], now: number, keep: Keep): void {
  const ahead = all.filter(({ at }) => at > now + toleranceMs);
  keep('doubt', `its time is later than this host's clock, ${iso(now)}`, ahead);
}

function keepProtected(dumps: readonly Dated[], { proofs, holds }: DumpsFacts, reference: number, keep: Keep): void {
  for (const series of seriesOf(dumps)) keep('newest', `of ${seriesName(series[0] as Dated)}`, series.slice(-1));
  const byId = new Map(dumps.map((dump) => [dump.id, dump]));
  for (const { dump, drill } of provenDumps(dumps, proofs))
    keep('proof', `the newest that a drill has proven: ${drill}`, [byId.get(dump) as Dated]);
  for (const hold of holds) {
    if (!isInForce(hold, new Date(reference))) continue;
    const reason = hold.reason === null ? '' : ` (${hold.reason})`;
    const held = dumps.filter(({ id }) => holdsDump(hold, id));
    keep('hold', `${hold.id} of ${hold.by}${reason}, until ${hold.until}`, held);
  }
}

/** @returns why a dump goes that nothing else keeps. */
function keepByTiers(
  dumps: readonly Dated[],
  tiers: DumpRetentionConfig,
  timezone: string,
  keep: Keep,
): Map<string, string> {
  const calendar = calendarOf(timezone);
  const whys = new Map<string, string>();
  for (const series of seriesOf(dumps)) {
    for (const [tier, own] of Map.groupBy(series, (dump) => dump.tier)) {
      const rules = tiers[tier];
      if (rules === undefined || !hasRules(rules)) {
        keep('no-rules', `tier ${tier} has none`, own);
        continue;
      }
      const newest = (own.at(-1) as Dated).at;
      keep('minimum', `among the newest ${rules.minimum}`, own.slice(-rules.minimum));
      if (isSet(rules.last)) keep('last', `among the last ${rules.last}`, own.slice(-rules.last));
      if (isSet(rules.window)) {
        const since = newest - rules.window * 1000;
        keep(
          'window',
          `since ${iso(since)}`,
          own.filter(({ at }) => at >= since),
        );
      }
      for (const period of periods)
        for (const [name, dump] of newestOfEach(own, rules[period] ?? 0, (at) => calendar(period, at)))
          keep(period, `newest of ${name}`, [dump]);
      for (const { id } of own) whys.set(id, `${tier}: ${ruleText(rules, newest)}`);
    }
  }
  return whys;
}

type Planned = {
  all: readonly Dated[];
  doomed: readonly Dated[];
  times: readonly number[];
  reference: number;
  tiers: DumpRetentionConfig;
};

function refusalsOf({ holds }: DumpsFacts, { all, doomed, times, reference, tiers }: Planned): string[] {
  const ended = all.length === 0 ? null : endedByLeap(holds, times, reference, 'backup and no dump');
  return [
    ...(ended === null ? [] : [ended]),
    ...[...Map.groupBy(doomed, ({ tier }) => tier)].flatMap(([tier, going]) => {
      const refusals: string[] = [];
      const { window } = tiers[tier] ?? {};
      const silence = isSet(window) ? suddenSilence(times, window * 1000) : null;
      if (silence !== null && going.some(({ at }) => at <= silence.from))
        refusals.push(
          `no backup and no dump was made between ${iso(silence.from)} and ${iso(silence.to)}, or a clock jumped: dumps of tier ${tier} that were made before only look old`,
        );
      const those = all.filter((dump) => dump.tier === tier).length;
      if (going.length * 2 > those)
        refusals.push(`${going.length} of ${those} dumps of tier ${tier} would go, more than half`);
      return refusals;
    }),
  ];
}

const named = 5;
const some = (names: readonly string[]): string =>
  `${names.slice(0, named).join(', ')}${names.length > named ? ` and ${names.length - named} more` : ''}`;

function notesOn(
  { damaged, proofs }: DumpsFacts,
  dumps: readonly Dated[],
  reasons: ReadonlyMap<string, readonly Reason[]>,
): string[] {
  const proven = provenDumps(dumps, proofs);
  const ids = new Set(proven.map(({ dump }) => dump));
  const alone = proven.filter(({ dump }) => (reasons.get(dump) ?? []).every(({ rule }) => rule === 'proof'));
  const unproven = seriesOf(dumps).filter((series) => !series.some(({ id }) => ids.has(id)));
  return [
    ...(unproven.length === 0
      ? []
      : [
          `No dump in this repository was ever proven of ${some(unproven.map((series) => seriesName(series[0] as Dated)))}: run a drill of a dump.`,
        ]),
    ...(alone.length === 0
      ? []
      : [
          `Only because no newer one of the same was proven since, this stays: ${some(alone.map(({ dump, at }) => `dump ${dump} (${at})`))}: run a drill of a dump.`,
        ]),
    ...damaged.map(({ id, why }) => `Dump ${id} is damaged and is left alone: ${why}.`),
  ];
}
