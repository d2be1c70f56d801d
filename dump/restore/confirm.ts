import { PgproofError } from '../../core/errors.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import type { DumpPlan } from './plan-record.ts';
import { saveDumpPlan } from './plans.ts';

export const needsConfirmation = ({ confirmed }: DumpPlan): boolean => confirmed === null;

/**
 * A person says the name of the database that the plan changes; from then on whoever may start a restore may start this one.
 * @throws {PgproofError} `restore-unconfirmed` when it is another name.
 */
export async function confirmPlan(
  cluster: ProtectedCluster,
  plan: DumpPlan,
  said: string,
  by: string,
): Promise<DumpPlan> {
  if (!needsConfirmation(plan)) return plan;
  if (said !== plan.database) throw unconfirmed(plan, `'${said}' is not its name`);
  const confirmed = { ...plan, confirmed: { by, at: new Date().toISOString() } };
  await saveDumpPlan(cluster, confirmed);
  return confirmed;
}

/** @throws {PgproofError} `restore-unconfirmed` */
export function refuseUnconfirmed(plan: DumpPlan): void {
  if (needsConfirmation(plan)) throw unconfirmed(plan, 'nobody has said its name');
}

const effects = {
  add: 'adds to the database',
  clean: 'drops what the dump has in the database',
  replace: 'puts another in the place of the database',
} as const;

function unconfirmed({ id, cluster, database, mode }: DumpPlan, why: string): PgproofError {
  const effect = effects[mode as keyof typeof effects];
  return new PgproofError('restore-unconfirmed', `the restore ${effect} '${database}', and ${why}`, {
    facts: { plan: id, database, mode },
    hint: `Start it with the name: pgproof restore start ${cluster} ${id} --confirm NAME`,
  });
}
