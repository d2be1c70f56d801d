import { existsSync } from 'node:fs';
import { checkDumps } from '../../check/dumps.ts';
import { attempt, type Finding } from '../../check/finding.ts';
import { checkReplication } from '../../check/host.ts';
import type { Proposal } from '../../check/proposal.ts';
import { checkHeartbeat } from '../../check/repository.ts';
import { checkRights } from '../../check/rights.ts';
import { type SqlClient, withClient } from '../../postgres/client.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectSession } from '../../postgres/server.ts';
import { spoolAt } from '../../wal/spool.ts';
import { isSpoolLocked } from '../../wal/spool-lock.ts';

/** What is there already: found by the configured role itself, where it gets in. What cannot be told is false. */
export type Standing = {
  logsIn: boolean;
  replicates: boolean;
  hasRights: boolean;
  hasHeartbeat: boolean;
  /** A worker of this host ships the cluster's WAL. */
  ships: boolean;
};

export async function readStanding(cluster: ProtectedCluster, signal: AbortSignal): Promise<Standing> {
  const { connection } = cluster.config;
  const ask = async (client: SqlClient): Promise<Finding[]> => [
    ...(await checkRights(client, connection)),
    ...(await checkDumps(client, cluster, await inspectSession(client), signal)),
    await checkHeartbeat(client, cluster),
  ];
  const session = await attempt('session', signal, () =>
    withClient(connection, ask, { signal, applicationName: 'pgproof init' }),
  );
  const [replication] = await attempt('replication', signal, async () => [await checkReplication(cluster, signal)]);
  const { root } = spoolAt(cluster.paths.spool);
  return {
    logsIn: !session.some(({ name }) => name === 'session' || name === 'dump-login'),
    replicates: replication?.status === 'ok',
    hasRights: session.filter(({ name }) => !otherwise.includes(name)).every(({ status }) => status !== 'problem'),
    hasHeartbeat: session.some(({ name, status }) => name === 'heartbeat' && status === 'ok'),
    ships: existsSync(root) && (await isSpoolLocked(root)),
  };
}

/** Found too, and no matter of the role's rights. */
const otherwise = ['heartbeat', 'dump-login', 'dump-databases', 'dump-tools'];

/**
 * What of the proposal is left. A role that gets in needs no line for it, and one above the others could take away the login
 * that it has; a superuser's role is left as it is; what a standby has comes from its primary.
 */
export function leftOf<Some extends Proposal>(
  proposal: Some,
  { logsIn, replicates, hasRights }: Standing,
  { isSuperuser, isStandby }: { isSuperuser: boolean; isStandby: boolean },
): Some {
  const [session, replication] = proposal.hba as [string, string];
  return {
    ...proposal,
    roleSql: isSuperuser || isStandby || hasRights ? '' : proposal.roleSql,
    hba: isSuperuser ? [] : [...(logsIn ? [] : [session]), ...(replicates ? [] : [replication])],
    ident: isSuperuser || (logsIn && replicates) ? [] : proposal.ident,
  };
}
