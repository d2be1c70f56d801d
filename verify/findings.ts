import type { SegmentName, TimelineId } from '../core/segment.ts';
import type { Affected, Finding, FindingKind, Repaired } from '../core/verified.ts';

/** What a finding is about; what it affects is computed once everything is known. */
export type Subject =
  | { of: 'backup'; era: string; id: string }
  | { of: 'dump'; id: string }
  | { of: 'wal'; era: string; segment: SegmentName }
  | { of: 'history'; era: string; timeline: TimelineId }
  | { of: 'era'; era: string }
  | { of: 'repository' };

/** One object that is not as it should be. */
export type Damage = { object: string; kind: FindingKind; why: string; subject: Subject; repair: Repaired | null };

export const nothingAffected: Affected = { backups: [], cutShort: [], dumps: [], globals: [], from: null, to: null };

/** A report names so many; a payload of Temporal holds 2 MB. */
const mostNamed = 500;

/** What one repository was found to have; each object once. */
export class Findings {
  readonly #all = new Map<string, Damage>();

  add(found: Omit<Damage, 'repair'>): void {
    // One of two contents may be damaged besides.
    const key = found.kind === 'conflict' ? `conflict ${found.object}` : found.object;
    if (!this.#all.has(key)) this.#all.set(key, { ...found, repair: null });
  }

  takeBack(object: string): void {
    this.#all.delete(object);
  }

  /** By their keys: reads go side by side and end in any order. */
  get all(): Damage[] {
    return [...this.#all.values()].sort((a, b) => (a.object < b.object ? -1 : 1));
  }

  /** What harms a restore and was not repaired. */
  get open(): Damage[] {
    return this.all.filter(({ kind, repair }) => kind !== 'foreign' && repair?.outcome !== 'repaired');
  }
}

/**
 * Findings as they are reported: neighbouring segments that are missing, and affect the same, as one.
 * @param affects by the finding's object.
 */
export function reportedFindings(
  all: readonly Damage[],
  affects: ReadonlyMap<string, Affected>,
  isNext: (a: Damage, b: Damage) => boolean,
): { findings: Finding[]; leftOut: number } {
  const grouped: Finding[] = [];
  let last: Damage | undefined;
  for (const damage of all) {
    const { object, kind, why, repair } = damage;
    const finding = {
      object,
      through: null,
      objects: 1,
      kind,
      why,
      affects: affects.get(object) ?? nothingAffected,
      repair,
    };
    const before = grouped.at(-1);
    if (last !== undefined && before !== undefined && isNext(last, damage) && tellsTheSame(before, finding)) {
      before.through = object;
      before.objects += 1;
    } else grouped.push(finding);
    last = damage;
  }
  return { findings: grouped.slice(0, mostNamed), leftOut: Math.max(0, grouped.length - mostNamed) };
}

function tellsTheSame(a: Finding, b: Finding): boolean {
  const told = ({ kind, why, repair, affects }: Finding) =>
    JSON.stringify([kind, why, repair?.outcome, repair?.from, { ...affects, from: null }]);
  return told(a) === told(b);
}
