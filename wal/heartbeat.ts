import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { compareLsn, parseLsn } from '../core/lsn.ts';
import { execute, query, queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Frontier } from './frontier.ts';
import { addHeartbeat, type Heartbeat, readHeartbeats, thinHeartbeats } from './heartbeat-notes.ts';

export type { Heartbeat } from './heartbeat-notes.ts';

type Options = { signal?: AbortSignal };

/** The row that tells, in any copy of the cluster, up to which second it has come. */
export const heartbeatTable = 'pgproof.heartbeat';

/** A beat that takes longer is none: the next one says more. */
const patience = { connectTimeoutSeconds: 5, statementTimeoutSeconds: 10 };

/**
 * Makes schema `pgproof` and the heartbeat's table in the connection's database; what is there stays.
 * @throws {PgproofError} `rights-missing` when the schema is not there and the role may not create it.
 */
export async function installHeartbeat(
  { config }: Pick<ProtectedCluster, 'config'>,
  options: Options = {},
): Promise<void> {
  await withClient(
    config.connection,
    async (client) => {
      // CREATE SCHEMA IF NOT EXISTS asks for the right to create before it looks whether there is anything to do.
      const found = await query(client, `SELECT 1 FROM pg_namespace WHERE nspname = 'pgproof'`, [], z.unknown());
      if (found.length === 0) await execute(client, 'CREATE SCHEMA pgproof');
      await execute(
        client,
        `CREATE TABLE IF NOT EXISTS ${heartbeatTable} (
           id int PRIMARY KEY CHECK (id = 1),
           sequence bigint NOT NULL, at timestamptz NOT NULL, lsn pg_lsn NOT NULL, timeline int NOT NULL
         ) WITH (fillfactor = 50)`,
      );
    },
    { ...patience, ...options },
  );
}

type Noting = Pick<ProtectedCluster, 'config' | 'paths'>;

/**
 * Writes one heartbeat and notes it in this host's state.
 * @throws {PgproofError} `heartbeat-missing` before `heartbeat install`; `server-in-recovery`, `server-unreachable`, `timeout`.
 */
export async function beat({ config, paths }: Noting, options: Options = {}): Promise<Heartbeat> {
  const written = await withClient(config.connection, writeRow, { ...patience, ...options });
  await addHeartbeat(paths.state, written);
  return written;
}

/**
 * On a host of several. The standby takes no heartbeat: its host notes the newest that has reached it, so that it can measure,
 * too, and knows them when it leads.
 * @param options.since sequence of the last one that is known.
 * @returns what was noted; null on a standby that nothing new has reached.
 * @throws {PgproofError} as `beat`.
 */
export async function beatOrFollow(
  { config, paths }: Noting,
  { since = 0, ...options }: Options & { since?: number } = {},
): Promise<Heartbeat | null> {
  const take = async (client: SqlClient) => ((await isStandby(client)) ? readRow(client, since) : writeRow(client));
  const noted = await withClient(config.connection, take, { ...patience, ...options });
  if (noted !== null) await addHeartbeat(paths.state, noted);
  return noted;
}

/**
 * Writes heartbeats until the signal aborts, as often as the config says.
 * @throws {PgproofError} the first that fails, `heartbeat-missing` and an unreachable server alike: the caller alarms and starts again.
 */
export async function runHeartbeat(
  cluster: Pick<ProtectedCluster, 'config' | 'paths'>,
  options: { signal: AbortSignal },
): Promise<void> {
  const { signal } = options;
  const next = cluster.config.host.length > 1 ? beatOrFollow : beat;
  let since = 0;
  for (let count = 0; !signal.aborted; count += 1) {
    if (count % 1000 === 0) await thinHeartbeats(cluster.paths.state);
    try {
      since = (await next(cluster, { signal, since }))?.sequence ?? since;
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    await sleep(cluster.config.wal.heartbeat * 1000, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * The newest heartbeat that a restore from the repository would hold, given how far the archive reaches; null when this host
 * has no note of one. A heartbeat that a failover left behind on its timeline does not count.
 */
export async function newestArchivedHeartbeat(
  cluster: Pick<ProtectedCluster, 'paths'>,
  frontier: Frontier,
): Promise<Heartbeat | null> {
  const archived = (await readHeartbeats(cluster.paths.state)).filter(({ lsn, timeline }) => {
    const stretch = frontier.path.find((candidate) => candidate.timeline === timeline);
    const isOnPath = stretch !== undefined && (stretch.endLsn === null || compareLsn(lsn, stretch.endLsn) <= 0);
    return isOnPath && compareLsn(lsn, frontier.lsn) <= 0;
  });
  return archived.sort((a, b) => compareLsn(a.lsn, b.lsn)).at(-1) ?? null;
}

const timelineNow = `('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int`;

async function isStandby(client: SqlClient): Promise<boolean> {
  const { standby } = await queryOne(
    client,
    'SELECT pg_is_in_recovery() AS standby',
    [],
    z.object({ standby: z.boolean() }),
  );
  return standby;
}

/** The row is seen once its commit record was replayed, so that lies before where replay is afterwards. */
async function readRow(client: SqlClient, since: number): Promise<Heartbeat | null> {
  try {
    const [row] = await query(
      client,
      `SELECT sequence, timeline, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
              pg_last_wal_replay_lsn()::text AS lsn
         FROM ${heartbeatTable} WHERE sequence > $1`,
      [since],
      z.object({ sequence: z.coerce.number(), at: z.string(), timeline: z.number().int(), lsn: z.string() }),
    );
    return row === undefined ? null : { ...row, lsn: parseLsn(row.lsn) };
  } catch (error) {
    throw explained(error);
  }
}

/** Committed locally only: a synchronous standby that is away must not stop the measuring of what would be lost. */
async function writeRow(client: SqlClient): Promise<Heartbeat> {
  try {
    await execute(client, 'SET synchronous_commit TO local');
    const { sequence, at } = await queryOne(
      client,
      writeSql,
      [],
      z.object({ sequence: z.coerce.number(), at: z.string() }),
    );
    // Read after the commit, so that the row's commit record lies before it.
    const after = await queryOne(
      client,
      `SELECT pg_current_wal_insert_lsn()::text AS lsn, ${timelineNow} AS timeline`,
      [],
      z.object({ lsn: z.string(), timeline: z.number().int() }),
    );
    return { sequence, at, lsn: parseLsn(after.lsn), timeline: after.timeline };
  } catch (error) {
    throw explained(error);
  }
}

const writeSql = `
  INSERT INTO ${heartbeatTable} AS beat (id, sequence, at, lsn, timeline)
  VALUES (1, 1, clock_timestamp(), pg_current_wal_insert_lsn(), ${timelineNow})
  ON CONFLICT (id) DO UPDATE SET sequence = beat.sequence + 1, at = clock_timestamp(), lsn = excluded.lsn, timeline = excluded.timeline
  RETURNING sequence, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`;

/** 3F000: no such schema; 42P01: no such table; 25006 and 55000: the server is in recovery. */
function explained(error: unknown): unknown {
  if (!(error instanceof PgproofError)) return error;
  const { sqlstate = null } = error.facts;
  if (sqlstate === '3F000' || sqlstate === '42P01') {
    return new PgproofError('heartbeat-missing', `there is no table ${heartbeatTable}, so RPO cannot be measured`, {
      facts: { sqlstate },
      hint: 'Run `pgproof heartbeat install <cluster>` once.',
      cause: error,
    });
  }
  if (sqlstate === '25006' || sqlstate === '55000') {
    return new PgproofError('server-in-recovery', 'the configured server is in recovery: it takes no heartbeat', {
      facts: { sqlstate },
      hint: 'Name the primary in clusters.<name>.connection.',
      cause: error,
    });
  }
  return error;
}
