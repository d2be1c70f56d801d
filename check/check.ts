import { isDumped } from '../core/dumped.ts';
import { hasCode } from '../core/errors.ts';
import { type SqlClient, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { inspectSession, type ServerFacts } from '../postgres/server.ts';
import { checkDumps } from './dumps.ts';
import { attempt, type Finding, ok, problem } from './finding.ts';
import { admissionFix } from './hba.ts';
import { checkOsUser, checkReplication, checkSpace, checkTools } from './host.ts';
import { checkObjectives } from './objectives.ts';
import { checkEras, checkHeartbeat, checkKey, checkOwners } from './repository.ts';
import { checkRights } from './rights.ts';
import { checkRoundTrip } from './round-trip.ts';
import { checkArchiver, checkPageChecksums, checkSettings } from './settings.ts';
import { checkShipping } from './shipping.ts';
import { checkSink } from './sink.ts';
import { checkStores } from './store.ts';

export type { Finding } from './finding.ts';

/**
 * Whether this cluster can be backed up and its WAL kept, asked of the server, the host and the repository, and in the end by
 * sending a real segment through. Writes a restore point and ends a WAL segment; touches nothing else.
 * @returns every check by its name, also those that could not be carried out, which are problems.
 */
export async function check(cluster: ProtectedCluster, { signal }: { signal: AbortSignal }): Promise<Finding[]> {
  const { connection } = cluster.config;
  let facts: ServerFacts | undefined;
  const lookAtServer = async (client: SqlClient): Promise<Finding[]> => {
    facts = await inspectSession(client);
    return checkServer(client, cluster, facts, signal);
  };
  const server = await attempt('server', signal, () =>
    withClient(connection, lookAtServer, { signal, applicationName: 'pgproof check' }).catch((error: unknown) => [
      refusedByHba(error, cluster),
    ]),
  );
  const shipping = await attempt('shipper', signal, () => checkShipping(cluster));
  const objectives = await attempt('objectives', signal, () => checkObjectives(cluster, signal));
  const stores = await checkStores(cluster, { signal });
  const owners = await checkOwners(cluster, signal);
  const sink = await checkSink(cluster, signal);
  const findings = [checkKey(cluster), ...stores, ...owners, ...server, ...shipping, ...objectives, ...sink];
  const isStandby = facts?.inRecovery === true && spansHosts(cluster);
  return [...findings, isStandby ? sentByPrimary : await roundTrip(cluster, findings, signal)];
}

/** The refusal of pg_hba.conf has lines that mend it; every other error speaks for itself. */
function refusedByHba(error: unknown, { config }: ProtectedCluster): Finding {
  if (hasCode(error, 'server-refused') && error.facts.sqlstate === '28000')
    return problem('server', error.message, admissionFix(config.connection, isDumped(config)));
  throw error;
}

async function checkServer(
  client: SqlClient,
  cluster: ProtectedCluster,
  facts: ServerFacts,
  signal: AbortSignal,
): Promise<Finding[]> {
  const one = (name: string, look: () => Finding | Promise<Finding>) =>
    attempt(name, signal, async () => [await look()]);
  // One after the other: they share a session.
  return [
    describeServer(cluster, facts),
    ...(await attempt('rights', signal, () => checkRights(client, cluster.config.connection))),
    ...(await attempt('dumps', signal, () => checkDumps(client, cluster, facts, signal))),
    ...(await attempt('settings', signal, () => checkSettings(client, cluster, facts))),
    ...(await one('archiver', () => checkArchiver(client))),
    checkPageChecksums(facts),
    ...(await one('replication', () => checkReplication(cluster, signal))),
    ...(await one('os-user', () => checkOsUser(facts))),
    ...(await one('tools', () => checkTools(cluster, facts))),
    ...(await attempt('space', signal, () => checkSpace(client, cluster, facts))),
    ...(await attempt('era', signal, () => checkEras(cluster, facts))),
    ...(await one('heartbeat', () => checkHeartbeat(client, cluster))),
  ];
}

function describeServer(cluster: ProtectedCluster, { versionText, systemId, inRecovery }: ServerFacts): Finding {
  const detail = `PostgreSQL ${versionText}, system identifier ${systemId}`;
  if (inRecovery && spansHosts(cluster)) return ok('server', `${detail}, a standby`);
  return inRecovery
    ? problem(
        'server',
        `${detail}, in recovery: a standby neither ends segments nor archives them`,
        'Point connection at the primary; or name the hosts of primary and standbys in clusters.<name>.host.',
      )
    : ok('server', detail);
}

const spansHosts = ({ config }: ProtectedCluster): boolean => config.host.length > 1;

/** A standby ends no segments; all else is asked there, too, because it may become the primary any time. */
const sentByPrimary = ok('archive-round-trip', 'not tried: this is a standby, and the host of the primary sends one');

/** What a segment passes on its way; with one of these wrong it would only be waited for in vain. */
const onTheWay = [
  'server',
  'right-switch-wal',
  'right-restore-point',
  'wal_level',
  'archive_mode',
  'archive_command',
  'archive_library',
  'os-user',
  'era',
  'owner',
];

async function roundTrip(
  cluster: ProtectedCluster,
  findings: readonly Finding[],
  signal: AbortSignal,
): Promise<Finding> {
  const name = 'archive-round-trip';
  const isOnTheWay = ({ name }: Finding) => onTheWay.includes(name.slice(name.indexOf('/') + 1));
  const broken = findings.filter((finding) => finding.status === 'problem' && isOnTheWay(finding));
  if (broken.length > 0) {
    return problem(
      name,
      `not tried: first mend ${broken.map((finding) => finding.name).join(', ')}`,
      'Mend these, then run `pgproof check` again.',
    );
  }
  const [finding] = await attempt(name, signal, async () => [await checkRoundTrip(cluster, name, signal)]);
  return finding as Finding;
}
