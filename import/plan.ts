import { PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import { parseName } from '../core/names.ts';
import { factsOf, type OldFacts } from './facts.ts';
import type { OldDump } from './inventory.ts';
import type { SourceOptions } from './source.ts';

export type TakeDumpsOrder = {
  opening: SourceOptions;
  /** Of the scripts' clocks; null: UTC. */
  zone: string | null;
  /** Of all of them; null: as their layout says, otherwise `imported`, which has no rules and so never expires by itself. */
  tier: string | null;
  /** Of those that do not say which one they are of. */
  database: string | null;
  requestedBy: string | null;
  reason: string | null;
};

/** A dump and what it will be called in the repository. */
export type ToTake = { dump: OldDump; facts: OldFacts; tier: string; database: string | null };

/**
 * Decides what each dump will be in the repository; nothing is read to its end.
 * @throws {PgproofError} `usage` where something has to be said by a person, before anything is written.
 */
export function planTake(dumps: readonly OldDump[], order: TakeDumpsOrder): ToTake[] {
  if (order.tier !== null) parseName('tier', order.tier);
  const planned = dumps.map((dump) => {
    const facts = factsOf(dump, order.zone);
    const isOfDatabase = facts.kind === null || facts.kind === 'database';
    const database = isOfDatabase ? (facts.database ?? order.database) : null;
    return { dump, facts, tier: order.tier ?? facts.tier ?? 'imported', database };
  });
  refuse(
    planned.filter(({ facts, database }) => facts.kind === 'database' && database === null),
    'nothing says which database it is of',
    'Give --database NAME, for all that do not say it; take those of other databases by their names, one database after the other.',
  );
  refuse(
    planned.filter(({ facts }) => facts.isLaterThanFile),
    "its name's time is later than the file itself",
    'The clock of the script was not UTC. Say its zone: --zone Asia/Shanghai',
  );
  return planned;
}

function refuse(unfit: readonly ToTake[], why: string, hint: string): void {
  const [first] = unfit;
  if (first === undefined) return;
  const others = unfit.length === 1 ? '' : `, as of ${unfit.length - 1} more`;
  throw new PgproofError('usage', `'${printable(first.dump.place)}': ${why}${others}`, {
    facts: { files: unfit.map(({ dump }) => dump.place) },
    hint,
  });
}
