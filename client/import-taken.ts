import type { ErrorDocument } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import type { TakenPhysical } from '../import/physical/take.ts';
import type { ToTake } from '../import/plan.ts';
import type { Taken } from '../import/take.ts';
import { count, described, errorOf, paragraphs, section, shortTime, whatItIs, withoutPath } from './import-words.ts';
import { table } from './text.ts';

/** Null: nothing was done, --dry-run. */
export type Done = { taken: readonly Taken[]; physical: TakenPhysical | null } | null;

export function takenJson(cluster: string, planned: readonly ToTake[], bases: readonly string[], done: Done) {
  const dumps = planned.map(({ dump, facts, tier, database }) => {
    const taken = done?.taken.find(({ place }) => place === dump.place);
    return {
      file: dump.place,
      ...described(facts),
      database,
      tier,
      outcome: taken?.outcome ?? null,
      id: taken?.id ?? null,
      notes: facts.notes,
      error: errorOf(taken?.error ?? dump.error),
    };
  });
  const physical = done?.physical ?? null;
  return {
    cluster,
    dryRun: done === null,
    dumps,
    bases: bases.map((base) => ({ base, ...baseOutcome(physical, base) })),
    wal: physical === null ? null : walOf(physical),
  };
}

function walOf({ wal: { stored, existed, refused } }: TakenPhysical) {
  return { stored, existed, refused: refused.map(({ path, error }) => ({ file: path, error: error.toDocument() })) };
}

function baseOutcome(physical: TakenPhysical | null, base: string) {
  const taken = physical?.taken.find((one) => one.base === base);
  const error = errorOf(physical?.refused.find((one) => one.base === base)?.error ?? null);
  if (taken === undefined) return { outcome: error === null ? null : ('refused' as const), id: null, error };
  return { outcome: taken.existed ? ('there' as const) : ('taken' as const), id: taken.backupId, error };
}

export function takenText({ cluster, dryRun, dumps, bases, wal }: ReturnType<typeof takenJson>): string {
  const rows = [
    ...dumps.map((dump) => [
      printable(dump.file),
      whatItIs(dump),
      shortTime(dump.startedAt),
      dump.tier,
      becameOf(dump, dryRun),
    ]),
    ...bases.map((base) => [base.base, '(base backup)', '', '', becameOf(base, dryRun)]),
  ];
  const outcomes = [...dumps, ...bases].map(({ outcome }) => outcome);
  const many = (which: string) => outcomes.filter((outcome) => outcome === which).length;
  const summary = dryRun
    ? `nothing was taken: --dry-run`
    : `${cluster}: ${many('taken')} taken, ${many('there')} there already, ${many('refused')} refused`;
  const parts = [
    table(['WHAT', 'DATABASE', 'TIME', 'TIER', 'BECAME'], rows),
    section(
      'WAL that was refused',
      wal?.refused.map(({ file, error }) => `${printable(file)}: ${withoutPath(error)}`) ?? [],
    ),
    wal === null ? summary : `${summary}; WAL: ${count(wal.stored, 'segment')} taken, ${wal.existed} there already`,
  ];
  return paragraphs(...parts);
}

type Became = { outcome: Taken['outcome'] | null; id: string | null; error: ErrorDocument | null };

function becameOf({ outcome, id, error }: Became, dryRun: boolean): string {
  if (error !== null) return `${dryRun ? 'would be REFUSED' : 'REFUSED'}: ${withoutPath(error)}`;
  if (outcome === null) return 'would be taken, unless it is there';
  return `${id}${outcome === 'there' ? ' (there already)' : ''}`;
}
