import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import { historyFileName, type TimelineId } from '../core/segment.ts';
import { queryOne, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';

/** What the server that config names says of itself: the only authority on which timelines are ours. */
export type Leader = {
  systemId: string;
  timeline: TimelineId;
  insertLsn: Lsn;
  /** What its archiver handed over last; null since the start of the server's statistics. */
  lastArchived: string | null;
};

type Options = { signal?: AbortSignal };

/** A server that hangs must not hold up the WAL that needs no answer from it. */
const patience = { connectTimeoutSeconds: 5, statementTimeoutSeconds: 5 };

type Named = Pick<ProtectedCluster, 'name' | 'host' | 'config'>;

/** Of a cluster that spans hosts the config names the leader's first: a standby that was promoted leads once a person says so. */
export const isNamedLeader = ({ host, config }: Named): boolean => config.host[0] === host;

export function handOverHint({ name, host, config }: Named): string {
  const others = config.host.filter((other) => other !== host);
  return `If ${host} leads the cluster now, say so in the config, clusters.${name}.host: [${[host, ...others].join(', ')}], and restart the worker of ${host}. Otherwise stop its server.`;
}

/**
 * Why a server's word does not count: it was promoted, and its timeline is ours only once the config names its host first.
 * Nobody can tell a failover from a standby that was promoted by mistake while the primary goes on (invariant 4).
 * @param newest the newest timeline that was adopted: who is on it leads already.
 */
export function unnamedLeader(
  cluster: Named,
  { timeline }: Pick<Leader, 'timeline'>,
  newest: TimelineId,
): PgproofError | undefined {
  if (isNamedLeader(cluster) || timeline === newest) return undefined;
  const named = cluster.config.host[0] as string;
  return new PgproofError(
    'timeline-not-adopted',
    `the server on ${cluster.host} was promoted to timeline ${timeline}, and the config names ${named} as the leader of '${cluster.name}'`,
    { facts: { cluster: cluster.name, host: cluster.host, named, timeline }, hint: handOverHint(cluster) },
  );
}

/**
 * Asks the configured server.
 * @throws {PgproofError} `server-in-recovery` when it leads nobody; `server-unreachable`, `server-refused`, …
 */
export async function askLeader({ config }: Pick<ProtectedCluster, 'config'>, options: Options = {}): Promise<Leader> {
  const row = await withClient(config.connection, (client) => queryOne(client, leaderQuery, [], leaderRow), {
    ...patience,
    ...options,
  });
  if (row.lsn === null || row.timeline === null) {
    throw new PgproofError('server-in-recovery', 'the configured server is in recovery: it leads no timeline', {
      hint: 'Name the primary in clusters.<name>.connection.',
    });
  }
  return {
    systemId: row.systemId,
    timeline: Number.parseInt(row.timeline, 16),
    insertLsn: parseLsn(row.lsn),
    lastArchived: row.lastArchived,
  };
}

/** In recovery these functions would fail; CASE keeps them from being called. */
const leaderQuery = `
  SELECT system_identifier::text AS "systemId",
         CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
         CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn() END::text AS lsn,
         (SELECT last_archived_wal FROM pg_stat_archiver) AS "lastArchived"
    FROM pg_control_system()`;

const leaderRow = z.object({
  systemId: z.string(),
  timeline: z.string().nullable(),
  lsn: z.string().nullable(),
  lastArchived: z.string().nullable(),
});

/**
 * The history file of one of its timelines, as the server itself hands it out by the replication protocol: also where the file
 * was never archived because archiving was off when the timeline began.
 */
export async function readTimelineHistory(
  { config }: Pick<ProtectedCluster, 'config'>,
  timeline: TimelineId,
  options: Options = {},
): Promise<string> {
  return withClient(
    config.connection,
    async (client) => {
      const { filename, content } = await queryOne(
        client,
        `TIMELINE_HISTORY ${timeline}`,
        [],
        z.object({ filename: z.string(), content: z.union([z.string(), z.instanceof(Buffer).transform(String)]) }),
      );
      if (filename === historyFileName(timeline)) return content;
      throw new PgproofError(
        'tool-output',
        `asked for the history of timeline ${timeline}, the server answered '${filename}'`,
      );
    },
    { ...patience, ...options, replication: true },
  );
}
