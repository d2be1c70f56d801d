import * as z from 'zod';
import { queryOne, type SqlClient } from '../postgres/client.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { currentEra } from '../repository/eras.ts';
import { opens } from '../repository/keys.ts';
import { refuseOfOther } from '../repository/owner.ts';
import { attempt, type Finding, ok, problem, warning } from './finding.ts';

export function checkKey({ keys, walKeys, name }: ProtectedCluster): Finding {
  if (keys.current !== null) {
    const wal =
      walKeys.current === null || walKeys === keys ? '' : `; WAL ${walKeys.current.id}: ${walKeys.current.cipher}`;
    const readable = [keys, walKeys].every(({ current }) => current === null || opens(current));
    return ok(
      'key',
      `${keys.current.id}: ${keys.current.cipher}, signed${wal}${readable ? '' : '; this host only writes: restore, drill and verify need another'}`,
    );
  }
  return warning(
    'key',
    'not encrypted, not authenticated',
    `A repository that began without a key stays without one. Give clusters.${name}.repositories a new one, and clusters.${name}.key a key of keys; then: pgproof init ${name}`,
  );
}

/** Whether each repository takes the cluster from this fleet: whatever else is right, another one's is not written. */
export async function checkOwners(cluster: ProtectedCluster, signal: AbortSignal): Promise<Finding[]> {
  const { name, repositories } = cluster;
  const findings = repositories.map((repository) => {
    const finding = repositories.length === 1 ? 'owner' : `${repository.name}/owner`;
    return attempt(finding, signal, async () => {
      await refuseOfOther(repository, cluster, { signal });
      return [ok(finding, `cluster '${name}' is no other fleet's`)];
    });
  });
  return (await Promise.all(findings)).flat();
}

/** Whether each repository that is written to expects the WAL and the backups of this very server. */
export async function checkEras(cluster: ProtectedCluster, facts: ServerFacts): Promise<Finding[]> {
  const { written } = cluster;
  const findings = await Promise.all(written.map((repository) => checkEra(inRepository(cluster, repository), facts)));
  return findings.map((finding, index) =>
    written.length === 1 ? finding : { ...finding, name: `${written[index]?.name}/${finding.name}` },
  );
}

async function checkEra({ repository, name }: ProtectedCluster, facts: ServerFacts): Promise<Finding> {
  const era = await currentEra(repository, name);
  const fix = `pgproof era new ${name}`;
  if (era === undefined) return problem('era', 'no era is declared: nothing of this server enters the repository', fix);
  if (era.systemId !== facts.systemId) {
    return problem(
      'era',
      `the repository expects system identifier ${era.systemId}, and this server is ${facts.systemId}`,
      `If this is the server to protect (after initdb or pg_upgrade): ${fix}`,
    );
  }
  if (era.major !== facts.major || era.segmentBytes !== facts.segmentBytes) {
    return problem(
      'era',
      `${era.era} has major ${era.major} and segments of ${era.segmentBytes} bytes; the server has ${facts.major} and ${facts.segmentBytes}`,
      fix,
    );
  }
  return ok('era', era.era);
}

/** RPO is measured with the heartbeat row; without it a drill can say only that it does not know. */
export async function checkHeartbeat(client: SqlClient, { name }: ProtectedCluster): Promise<Finding> {
  const { installed } = await queryOne(
    client,
    `SELECT to_regclass('pgproof.heartbeat') IS NOT NULL AS installed`,
    [],
    z.object({ installed: z.boolean() }),
  );
  if (installed) return ok('heartbeat', 'table pgproof.heartbeat is there');
  return problem(
    'heartbeat',
    'there is no table pgproof.heartbeat: RPO cannot be measured',
    `pgproof heartbeat install ${name}`,
  );
}
