import type { ConnectionConfig } from '../core/config.ts';
import { dumpsAsked, isDumped } from '../core/dumped.ts';
import { hasCode } from '../core/errors.ts';
import { findDatabase, listDatabases } from '../dump/databases.ts';
import { refuseUnreadableLargeObjects } from '../dump/large-objects.ts';
import { refuseUnreadable } from '../dump/rights.ts';
import type { DumpTarget } from '../dump/target.ts';
import { targetsOf, wantedOf } from '../dump/targets.ts';
import { type SqlClient, withClient } from '../postgres/client.ts';
import { findClients } from '../postgres/clients.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { attempt, type Finding, ok, problem } from './finding.ts';
import { admissionFix } from './hba.ts';

/** Whether the dumps that the configuration speaks of can be taken: programs, databases, rights. Empty where it speaks of none. */
export async function checkDumps(
  client: SqlClient,
  { config }: Pick<ProtectedCluster, 'config'>,
  { major }: Pick<ServerFacts, 'major'>,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (!isDumped(config)) return [];
  const findings = await attempt('dump-tools', signal, async () => {
    const { bin, container, version } = await findClients(config.tools, major);
    return [
      ok('dump-tools', `pg_dump ${version} ${container === undefined ? `in ${bin}` : `in container ${container}`}`),
    ];
  });
  const targets: DumpTarget[] = [];
  const named = await attempt('dump-databases', signal, async () => {
    const databases = await listDatabases(client);
    for (const name of Object.keys(config.dumps.perDatabase)) findDatabase(databases, name);
    const all = dumpsAsked(config).flatMap((asked) => targetsOf(wantedOf(config, asked), asked, databases));
    targets.push(...all.filter(({ database }) => database === null || databases.some(({ name }) => name === database)));
    for (const { database } of all) if (database !== null) findDatabase(databases, database);
    return [ok('dump-databases', `${namesOf(targets).length} to be dumped`)];
  });
  return [...findings, ...named, ...(await checkReading(config.connection, targets, major, signal))];
}

/** Looked up in each database as its dump would: a table that cannot be read fails the dump, some of them hours later. */
async function checkReading(
  connection: ConnectionConfig,
  targets: readonly DumpTarget[],
  major: number,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { user } = connection;
  const wrong: Finding[] = [];
  for (const [database, own] of Map.groupBy(targets, (target) => target.database)) {
    if (database === null) continue;
    const look = async (client: SqlClient): Promise<Finding[]> => {
      for (const target of own) {
        await refuseUnreadable(client, target, { user, major });
        await refuseUnreadableLargeObjects(client, target, { user, major });
      }
      return [];
    };
    const options = { database, signal, applicationName: 'pgproof check' };
    const found = await attempt('dump-rights', signal, () =>
      withClient(connection, look, options).catch((error: unknown) => {
        if (!hasCode(error, 'server-refused') || error.facts.sqlstate !== '28000') throw error;
        return [problem('dump-login', `database '${database}': ${error.message}`, admissionFix(connection, true))];
      }),
    );
    wrong.push(...found);
  }
  const names = namesOf(targets);
  if (wrong.length > 0 || names.length === 0) return wrong;
  return [ok('dump-rights', `role '${user}' reads all that is to be dumped of ${few(names)}`)];
}

const namesOf = (targets: readonly DumpTarget[]): string[] => [
  ...new Set(targets.flatMap(({ database }) => database ?? [])),
];

const few = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
