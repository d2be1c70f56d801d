import { accessDenied } from './failure.ts';

/** A RAM policy as its author writes it. */
export type RamPolicy = { Version: string; Statement: RamStatement[] };

type RamStatement = {
  Effect: 'Allow' | 'Deny';
  Action: string | string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
};

/** What somebody wants to do: `oss:PutObject` on `bucket/key`, and the values that conditions may ask for. */
export type Wish = { action: string; resource: string; values: Record<string, string> };

/**
 * Deny wins, then Allow; nothing else allows.
 * @throws OssFailure AccessDenied.
 */
export function assertAllowed(policies: readonly RamPolicy[], wish: Wish): void {
  const statements = policies.flatMap((policy) => policy.Statement).filter((statement) => fits(statement, wish));
  const effects = new Set(statements.map(({ Effect }) => Effect));
  if (effects.has('Allow') && !effects.has('Deny')) return;
  throw accessDenied('You have no right to access this object.', {
    AuthAction: wish.action,
    NoPermissionType: effects.has('Deny') ? 'ExplicitDeny' : 'ImplicitDeny',
  });
}

function fits(statement: RamStatement, { action, resource, values }: Wish): boolean {
  return (
    listOf(statement.Action).some((pattern) => like(pattern.toLowerCase(), action.toLowerCase())) &&
    listOf(statement.Resource).some((pattern) => like(pattern, `acs:oss:oss-cn-hangzhou:1234567890:${resource}`)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, wanted]) =>
      Object.entries(wanted).every(([name, allowed]) => meets(operator, listOf(allowed), values[name])),
    )
  );
}

function meets(operator: string, allowed: string[], value: string | undefined): boolean {
  if (operator === 'StringLike') return value !== undefined && allowed.some((pattern) => like(pattern, value));
  if (operator === 'StringEquals') return value !== undefined && allowed.includes(value);
  if (operator === 'Bool') return value !== undefined && allowed.includes(value);
  throw new Error(`the test server does not know the condition '${operator}'`);
}

const listOf = (value: string | string[]) => (typeof value === 'string' ? [value] : value);

function like(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
