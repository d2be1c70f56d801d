import type { Hold } from '../../core/hold.ts';
import { formatLsn, type Lsn, lsnPosition } from '../../core/lsn.ts';
import type {
  BackupFacts,
  DamagedFacts,
  EraFacts,
  ProofFacts,
  RepositoryFacts,
  RetentionRules,
} from '../../core/retention/facts.ts';
import { type PlanOptions, planRetention, type RetentionPlan } from '../../core/retention/plan.ts';
import { runsOf } from '../../core/retention/runs.ts';
import { planWal, type WalPlan } from '../../core/retention/wal.ts';
import { type SegmentName, segmentName, segmentNumber, type TimelineId, timelineOf } from '../../core/segment.ts';
import { type HistoryEntry, pathTo, segmentsOnPath, type TimelinePath } from '../../core/timeline.ts';

/*
 * A cluster's life in one repository, hour by hour, beside what is true of it: what time it was, and which WAL leads where. Whether
 * something can be restored is asked of the archive itself, segment by segment, and not of the planner.
 */

const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;
export const segmentBytes = 16 << 20;
export const beginning = Date.parse('2026-01-05T00:00:00Z');

/** One hour of the primary that counts: where it wrote. */
type Moment = { at: number; era: string; timeline: TimelineId; lsn: Lsn };

type Era = {
  era: string;
  timeline: TimelineId;
  histories: Map<TimelineId, HistoryEntry[]>;
  archive: Set<SegmentName>;
  /** All that was ever archived. */
  ever: Set<SegmentName>;
  doubt: string | null;
};

/** @returns 0 up to, not including, 1; the same for one seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class World {
  now = beginning;
  /** What the server's clock is wrong by, and that of the host that plans. */
  serverOffMs = 0;
  hostOffMs = 0;
  readonly eras: Era[] = [];
  backups: (BackupFacts & { trueStop: number })[] = [];
  damaged: DamagedFacts[] = [];
  proofs: ProofFacts[] = [];
  holds: Hold[] = [];
  moments: Moment[] = [];
  #timeline: TimelineId = 1;
  #segment = 0n;
  #drawn = 0;
  /** All that were ever made. */
  readonly #made: World['backups'] = [];

  constructor() {
    this.newEra();
  }

  get era(): Era {
    return this.eras.at(-1) as Era;
  }

  /** After pg_upgrade: nothing of before leads here. */
  newEra(): void {
    const number = String(this.eras.length + 1).padStart(4, '0');
    this.#timeline = 1;
    this.#segment = 1n;
    const histories = new Map<TimelineId, HistoryEntry[]>();
    this.eras.push({
      era: `${number}-pg15-7400000000000000001`,
      timeline: 1,
      histories,
      archive: new Set(),
      ever: new Set(),
      doubt: null,
    });
  }

  /** @param gap nothing was archived. */
  hours(count: number, { isLost = false } = {}): void {
    for (let hour = 0; hour < count; hour += 1) {
      this.now += hourMs;
      this.#write(isLost);
      const lsn = formatLsn(this.#segment * BigInt(segmentBytes));
      this.moments.push({ at: this.now, era: this.era.era, timeline: this.#timeline, lsn });
    }
  }

  backup(options: { parent?: string | null; storedBytes?: number } = {}): string {
    const { parent = null, storedBytes = 1 } = options;
    this.#drawn += 1;
    const at = new Date(this.now + this.serverOffMs).toISOString();
    const stamp = `${at.slice(0, 19).replace(/[-:]/g, '')}Z`;
    const type = parent === null ? 'full' : 'incremental';
    const id = `${stamp}-${type === 'full' ? 'full' : 'incr'}-${this.#drawn.toString(16).padStart(8, '0')}`;
    const startLsn = formatLsn(this.#segment * BigInt(segmentBytes) + 40n);
    this.hours(1);
    const stopLsn = formatLsn(this.#segment * BigInt(segmentBytes) + 312n);
    this.#write(false);
    const stoppedAt = new Date(this.now + this.serverOffMs).toISOString();
    const place = { timeline: this.#timeline, startLsn, stopLsn, parent };
    this.#made.push({ id, era: this.era.era, type, ...place, stoppedAt, storedBytes, trueStop: this.now });
    this.backups.push({ id, era: this.era.era, type, ...place, stoppedAt, storedBytes, trueStop: this.now });
    return id;
  }

  /** The last hours of the old primary are lost: nothing leads there any more. */
  failOver(hoursLost = 0): void {
    const entries = this.era.histories.get(this.#timeline) ?? [];
    const lost = this.moments.splice(this.moments.length - hoursLost);
    const first = lost[0];
    const switchLsn = formatLsn(
      (first === undefined ? this.#segment * BigInt(segmentBytes) : lsnPosition(first.lsn)) + 100n,
    );
    const old = this.#timeline;
    this.#timeline = Math.max(...this.era.histories.keys(), this.#timeline) + 1;
    this.era.histories.set(this.#timeline, [
      ...entries,
      { timeline: old, switchLsn, reason: 'no recovery target specified' },
    ]);
    this.#segment = lsnPosition(switchLsn) / BigInt(segmentBytes);
    this.#write(false);
  }

  drill(backup: string, upTo: Moment | null = this.moments.at(-1) ?? null): void {
    const at = new Date(this.now + this.hostOffMs).toISOString();
    const point = upTo === null ? null : { timeline: upTo.timeline, lsn: upTo.lsn };
    this.proofs.push({ drill: `drill-${this.proofs.length}`, backup, at, upTo: point });
  }

  #write(isLost: boolean): void {
    const name = segmentName(this.#timeline, this.#segment, segmentBytes);
    if (!isLost) this.era.archive.add(name);
    if (!isLost) this.era.ever.add(name);
    this.#segment += 1n;
  }

  facts(): RepositoryFacts {
    return {
      eras: this.eras.map((era): EraFacts => ({ ...era, segmentBytes, wal: runsOf(era.archive, segmentBytes) })),
      backups: this.backups,
      damaged: this.damaged,
      leaving: [],
      awaited: [],
      proofs: this.proofs,
      holds: this.holds,
    };
  }

  plan(rules: RetentionRules, options: Partial<PlanOptions> = {}): RetentionPlan {
    return planRetention(this.facts(), rules, { now: this.now + this.hostOffMs, timezone: 'UTC', ...options });
  }

  /** Deletes what the plan says, unless it is refused and nobody confirms. */
  expire(
    rules: RetentionRules,
    { isConfirmed = false, ...options }: Partial<PlanOptions> & { isConfirmed?: boolean } = {},
  ): RetentionPlan {
    const plan = this.plan(rules, options);
    if (plan.refusals.length > 0 && !isConfirmed) return plan;
    const doomed = new Set(plan.delete.map(({ id }) => id));
    this.backups = this.backups.filter(({ id }) => !doomed.has(id));
    this.cut(this.planWal(plan));
    return plan;
  }

  /** Of what is left when the backups of the plan are gone. */
  planWal(plan: RetentionPlan, most?: number): WalPlan[] {
    const doomed = new Set(plan.delete.map(({ id }) => id));
    const facts = this.facts();
    const left = { ...facts, backups: facts.backups.filter(({ id }) => !doomed.has(id)) };
    return planWal(left, plan, { reference: plan.reference, ...(most === undefined ? {} : { most }) });
  }

  cut(plans: readonly WalPlan[]): void {
    for (const { era, cuts } of plans) {
      const { archive } = this.eras.find((each) => each.era === era) as Era;
      for (const { timeline, from, to } of cuts) {
        const size = BigInt(segmentBytes);
        for (const name of archive) {
          const number = segmentNumber(name, segmentBytes);
          const isIn = lsnPosition(from) <= number * size && (number + 1n) * size <= lsnPosition(to as Lsn);
          if (timelineOf(name) === timeline && isIn) archive.delete(name);
        }
      }
    }
  }

  ids(): string[] {
    return this.backups.map(({ id }) => id);
  }

  /** Whether recovery can reach the moment: a backup before it, its parents, and every segment on the way. */
  canRestore(moment: Moment): boolean {
    // The newest first: the shortest way is tried before the long ones.
    return this.backups
      .toReversed()
      .some(
        (backup) =>
          backup.era === moment.era &&
          backup.trueStop <= moment.at &&
          this.#isWhole(backup.id) &&
          this.#leads(backup, moment),
      );
  }

  /** Whether it could have been restored had nothing ever been deleted: behind a new era, not before its first backup. */
  couldEverRestore(moment: Moment): boolean {
    const before = { backups: this.backups, archives: this.eras.map(({ archive }) => archive) };
    this.backups = this.#made;
    for (const era of this.eras) era.archive = era.ever;
    const could = this.canRestore(moment);
    this.backups = before.backups;
    for (const [index, era] of this.eras.entries()) era.archive = before.archives[index] as Set<SegmentName>;
    return could;
  }

  #isWhole(id: string): boolean {
    const backup = this.backups.find((each) => each.id === id);
    return backup !== undefined && (backup.parent === null || this.#isWhole(backup.parent));
  }

  #leads({ timeline, startLsn }: BackupFacts, moment: Moment): boolean {
    const path = this.pathTo(moment.era, moment.timeline);
    const stretch = path.find((each) => each.timeline === timeline);
    if (stretch === undefined || lsnPosition(stretch.beginLsn) > lsnPosition(startLsn)) return false;
    if (stretch.endLsn !== null && lsnPosition(stretch.endLsn) <= lsnPosition(startLsn)) return false;
    return this.hasWal(moment.era, path, startLsn, moment.lsn);
  }

  pathTo(era: string, timeline: TimelineId): TimelinePath {
    return pathTo(timeline, (this.eras.find((each) => each.era === era) as Era).histories);
  }

  /** As recovery looks for it: the newest timeline's segment, or where that was never archived an older one's. */
  hasWal(era: string, path: TimelinePath, from: Lsn, to: Lsn): boolean {
    const { archive } = this.eras.find((each) => each.era === era) as Era;
    return segmentsOnPath(path, from, to, segmentBytes).every((names) => names.some((name) => archive.has(name)));
  }
}

export const rulesOf = (rules: Partial<RetentionRules>): RetentionRules => ({ minimum: 1, ...rules });
export const days = (count: number): number => count * 86_400;
