import pg from 'pg';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { type Copies, copiesToBe } from '../parts/copies.ts';
import { queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { inspectSession, type ServerFacts } from '../postgres/server.ts';
import { findTools, type Tools } from '../postgres/tools.ts';
import { currentEra } from '../repository/eras.ts';
import { assertOwner } from '../repository/owner.ts';
import type { EraRecord } from '../repository/record.ts';
import { listHistories } from '../repository/wal.ts';
import { handOverHint, isNamedLeader } from '../wal/leader.ts';

/** What a backup of this server needs to know, all of it found fit; `copies`: where it may go. */
export type Fit = { era: EraRecord; server: ServerFacts; tools: Tools; copies: Copies };

/**
 * Refuses what would fail later, before anything is written: a server that is not the declared era's, a standby, settings
 * under which the WAL of the backup never arrives, a role that may not copy, missing programs, a required repository that is
 * away or not ready for it.
 * @throws {PgproofError} `owner-other`, `era-undeclared`, `era-mismatch`, `server-in-recovery`, `server-settings`, `rights-missing`,
 * `timeline-not-adopted`, `tool-missing`, and whatever `withClient` throws.
 */
export async function preflight(cluster: ProtectedCluster, run: Run): Promise<Fit> {
  run.progress({ phase: 'preflight' });
  const server = await withClient(cluster.config.connection, inspectRole, { signal: run.signal });
  refuseStandby(cluster, server);
  refuseSettings(server);
  const copies = copiesToBe(cluster);
  const eras: EraRecord[] = [];
  await copies.each(run.signal, async (repository) => {
    const there = inRepository(cluster, repository);
    await assertOwner(repository, cluster, { signal: run.signal });
    const era = await declaredEra(there, server);
    await refuseUnknownTimeline(there, era, server);
    eras.push(era);
  });
  const tools = await findTools(cluster.config.tools.bin, server.major);
  return { era: refuseDifferentEras(cluster, eras), server, tools, copies };
}

async function inspectRole(client: SqlClient): Promise<ServerFacts> {
  const { role, may } = await queryOne(
    client,
    'SELECT rolname AS role, rolreplication OR rolsuper AS may FROM pg_roles WHERE rolname = current_user',
    [],
    z.object({ role: z.string(), may: z.boolean() }),
  );
  if (!may) {
    throw new PgproofError('rights-missing', `the role '${role}' may not take a base backup`, {
      facts: { role },
      hint: `Run as a superuser: ALTER ROLE ${pg.escapeIdentifier(role)} REPLICATION;`,
    });
  }
  return inspectSession(client);
}

/** Where the config knows of no other host, nobody would archive the WAL that a standby's backup needs. */
function refuseStandby(cluster: ProtectedCluster, server: ServerFacts): void {
  if (!server.inRecovery || cluster.config.host.length > 1) return;
  throw new PgproofError('server-in-recovery', `the server of '${cluster.name}' is a standby`, {
    facts: { cluster: cluster.name },
    hint: `Let connection point at the primary. Where the cluster has standbys that pgproof runs on, name all hosts: clusters.${cluster.name}.host.`,
  });
}

/** A standby's WAL is archived by its primary, so whether it archives itself does not matter. */
function refuseSettings({ settings, inRecovery }: ServerFacts): void {
  const wrong = [
    settings.wal_level === 'minimal' && 'wal_level is minimal; set it to replica',
    !inRecovery && settings.archive_mode === 'off' && 'archive_mode is off; set it to on',
    !inRecovery && !settings.archive_command && !settings.archive_library && 'archive_command is empty',
    settings.max_wal_senders === '0' && 'max_wal_senders is 0; set it to 10',
  ].filter((reason) => reason !== false);
  if (wrong.length === 0) return;
  throw new PgproofError('server-settings', `the server's settings allow no backup: ${wrong.join('; ')}`, {
    facts: { wrong },
    hint: '`pgproof check` prints the statements that set what is missing.',
  });
}

async function declaredEra({ repository, name }: ProtectedCluster, server: ServerFacts): Promise<EraRecord> {
  const era = await currentEra(repository, name);
  const facts = { cluster: name, systemId: server.systemId };
  if (era === undefined) {
    throw new PgproofError('era-undeclared', `no era of '${name}' is declared in repository '${repository.name}'`, {
      facts,
      hint: `Run: pgproof era new ${name}`,
    });
  }
  if (era.systemId !== server.systemId || era.major !== server.major || era.segmentBytes !== server.segmentBytes) {
    throw new PgproofError(
      'era-mismatch',
      `the server of '${name}' has system identifier ${server.systemId} and major ${server.major}; the repository expects ${era.era}`,
      {
        facts: { ...facts, era: era.era },
        hint: `If connection points at the right server, and it was upgraded or initialised anew, run: pgproof era new ${name}`,
      },
    );
  }
  return era;
}

/** One backup has one era, wherever it lies. */
function refuseDifferentEras({ name }: ProtectedCluster, eras: readonly EraRecord[]): EraRecord {
  const [era, ...others] = eras as [EraRecord, ...EraRecord[]];
  const other = others.find((one) => one.era !== era.era);
  if (other === undefined) return era;
  throw new PgproofError('era-mismatch', `the repositories of '${name}' expect ${era.era} and ${other.era}`, {
    facts: { cluster: name, eras: eras.map((one) => one.era) },
    hint: `They were filled apart from each other. Bring them together: pgproof copy ${name}`,
  });
}

/**
 * Recovery on a timeline above 1 demands its history file: without it the backup could not be restored. And nothing that a
 * server writes on a timeline that was left behind ever enters the archive. A standby knows its timeline only since its last
 * restartpoint; what was copied from it tells.
 */
async function refuseUnknownTimeline(
  cluster: ProtectedCluster,
  { era }: EraRecord,
  server: ServerFacts,
): Promise<void> {
  const { timeline, inRecovery } = server;
  const histories = await listHistories(cluster.repository, cluster.walKeys, cluster.name, era);
  const newest = Math.max(1, ...histories.keys());
  if (timeline !== 1 && !histories.has(timeline)) throw notAdopted(cluster, timeline);
  if (inRecovery || timeline >= newest) return;
  throw new PgproofError(
    'timeline-not-adopted',
    `the server of '${cluster.name}' on ${cluster.host} is on timeline ${timeline}, and timeline ${newest} was adopted already`,
    {
      facts: { cluster: cluster.name, host: cluster.host, timeline, adopted: newest },
      hint: 'It is an old primary: stop it, and make it a standby of the new one (pg_rewind).',
    },
  );
}

function notAdopted(cluster: ProtectedCluster, timeline: number): PgproofError {
  return new PgproofError(
    'timeline-not-adopted',
    `timeline ${timeline} of '${cluster.name}' has no history file in the repository`,
    {
      facts: { cluster: cluster.name, host: cluster.host, timeline },
      hint: isNamedLeader(cluster)
        ? 'The shipper adopts a timeline from the configured primary; see: pgproof wal status.'
        : handOverHint(cluster),
    },
  );
}
