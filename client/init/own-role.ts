import { passwordFile } from './old.ts';
import type { InitPlan } from './plan.ts';
import { knownSettings, type Setting } from './settings.ts';

/**
 * The old scripts logged in as a superuser. That role is left as it is: pgproof works as one of its own, and neither the old
 * one nor its password comes into the configuration. Without old scripts, the plan as it is.
 */
export function withOwnRole(plan: InitPlan): InitPlan {
  if (plan.old === null) return plan;
  const { password: _, ...connection } = plan.connection;
  const secret = passwordFile(plan.cluster);
  return {
    ...plan,
    connection: { ...connection, user: ownRole },
    secrets: plan.secrets.filter(({ name }) => name !== secret),
    old: { ...plan.old, settings: plan.old.settings.map((setting) => leftAlone(setting, plan.look.user)) },
  };
}

const ownRole = 'pgproof';

function leftAlone(setting: Setting, role: string): Setting {
  if (setting.became === 'comment') return setting; // a flag says otherwise
  const into = knownSettings[setting.name]?.into?.[0];
  if (into === 'user')
    return {
      ...setting,
      became: 'comment',
      text: `'${role}' is a superuser, and stays as it is: pgproof works as ${ownRole}`,
    };
  if (into === 'password')
    return {
      ...setting,
      became: 'comment',
      text: 'of a superuser: init looked at the server with it, and nothing keeps it',
    };
  return setting;
}
