import { type Facts, PgproofError } from '../../core/errors.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import type { AnyDumpPlan } from './plan-record.ts';
import { saveDumpPlan } from './plans.ts';

export const needsConfirmation = ({ confirmed }: AnyDumpPlan): boolean => confirmed === null;

/** What a person has to say: the database that is changed, or the cluster whose server is filled. */
export const nameToSay = (plan: AnyDumpPlan): string => (plan.kind === 'dump' ? plan.database : plan.server);

/**
 * A person says the name of what the plan changes; from then on whoever may start a restore may start this one.
 * @throws {PgproofError} `restore-unconfirmed` when it is another name.
 */
export async function confirmPlan<Plan extends AnyDumpPlan>(
  cluster: ProtectedCluster,
  plan: Plan,
  said: string,
  by: string,
): Promise<Plan> {
  if (!needsConfirmation(plan)) return plan;
  if (said !== nameToSay(plan)) throw unconfirmed(plan, `'${said}' is not its name`);
  const confirmed = { ...plan, confirmed: { by, at: new Date().toISOString() } };
  await saveDumpPlan(cluster, confirmed);
  return confirmed;
}

/** @throws {PgproofError} `restore-unconfirmed` */
export function refuseUnconfirmed(plan: AnyDumpPlan): void {
  if (needsConfirmation(plan)) throw unconfirmed(plan, 'nobody has said its name');
}

const effects = {
  add: 'adds to the database',
  clean: 'drops what the dump has in the database',
  replace: 'puts another in the place of the database',
} as const;

function unconfirmed(plan: AnyDumpPlan, why: string): PgproofError {
  const { id, cluster } = plan;
  const name = nameToSay(plan);
  const effect = plan.kind === 'dump' ? effects[plan.mode as keyof typeof effects] : 'fills the server of the cluster';
  const facts: Facts = plan.kind === 'dump' ? { database: name, mode: plan.mode } : { server: name };
  return new PgproofError('restore-unconfirmed', `the restore ${effect} '${name}', and ${why}`, {
    facts: { plan: id, ...facts },
    hint: `Start it with the name: pgproof restore start ${cluster} ${id} --confirm NAME`,
  });
}
