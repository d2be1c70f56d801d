import { userInfo } from 'node:os';
import type { ConnectionConfig } from '../core/config.ts';

/**
 * Lines that let the role in, for sessions and for base backups: `replication` is a database of its own there, and `all` does not cover it.
 * @param dumps whether it dumps databases, which it has to get into.
 */
export function hbaLines(connection: ConnectionConfig, dumps: boolean): string[] {
  const { user, database, socket, password } = connection;
  const method = socket === undefined || password !== undefined ? 'scram-sha-256' : `peer map=${identMap}`;
  const kind = socket === undefined ? 'host ' : 'local';
  const from = socket === undefined ? ' <address of this host>/32' : '';
  return [
    `${kind} ${dumps ? 'all' : word(database)} ${word(user)}${from} ${method}`,
    `${kind} replication ${word(user)}${from} ${method}`,
  ];
}

/** By peer the operating system's user must be mapped to the role, because their names differ. */
export function identLines(
  { user, socket, password }: ConnectionConfig,
  osUser: string = userInfo().username,
): string[] {
  if (socket === undefined || password !== undefined) return [];
  return [`${identMap} ${word(osUser)} ${word(user)}`];
}

/** What to do when pg_hba.conf refuses the role. */
export function admissionFix(connection: ConnectionConfig, dumps: boolean): string {
  const ident = identLines(connection);
  return [
    'Add to pg_hba.conf, above lines that refuse it:',
    ...hbaLines(connection, dumps),
    ...(ident.length > 0 ? ['and to pg_ident.conf:', ...ident] : []),
    'then: SELECT pg_reload_conf();',
  ].join('\n');
}

const identMap = 'pgproof';

/** pg_hba.conf quotes with double quotes; a bare word such as `all` would have a meaning. */
function word(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !['all', 'replication', 'sameuser', 'samerole', 'samegroup'].includes(name)
    ? name
    : `"${name}"`;
}
