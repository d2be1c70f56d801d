import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { abortReason } from '../core/abort.ts';
import { PgproofError } from '../core/errors.ts';
import { execute, query, queryOne, type SqlClient, withClient } from './client.ts';
import type { ProtectedCluster } from './cluster.ts';

/** Who takes the lock: `backup` and the attempt's id. */
export type LockHolder = { operation: string; id: string };

/** 'pgpr', 1. One server is one cluster, so the key needs no name in it: two configs that call it differently still exclude each other. */
const lockKey = [0x70677072, 1] as const;

/** How often the session that holds the lock is asked whether it still lives. */
const aliveSeconds = 10;

/**
 * Runs `use` while a session of its own holds the cluster's lock, an advisory lock in the cluster's own server and in the
 * connection's database. It spans hosts, is shared by worker and `--offline`, and dies with its holder. The signal handed to
 * `use` aborts when the caller's does or when that session is lost, because from then on another may hold the lock.
 * @throws {PgproofError} `cluster-busy` at once when another holds it, with facts {holder, pid, since}.
 */
export async function withClusterLock<T>(
  cluster: Pick<ProtectedCluster, 'name' | 'host' | 'config'>,
  holder: LockHolder,
  use: (signal: AbortSignal) => Promise<T>,
  options: { signal?: AbortSignal } = {},
): Promise<T> {
  const session = {
    applicationName: holderText(holder, cluster.host),
    // A server under load answers late and holds the lock all the same: that must not end a backup of ten hours.
    statementTimeoutSeconds: 300,
    ...options,
  };
  return withClient(
    cluster.config.connection,
    async (client) => {
      await takeLock(client, cluster.name);
      return whileAlive(client, use, options.signal);
    },
    session,
  );
}

/** `pgproof backup <id> on <host> pid N`, in the 63 bytes that application_name has: a long host name is cut, never the pid. */
export function holderText({ operation, id }: LockHolder, host: string): string {
  const who = id.includes(`-${operation}-`) ? id : `${operation} ${id}`;
  const pid = ` pid ${process.pid}`;
  const room = 63 - `pgproof ${who} on `.length - pid.length;
  const place = host.length <= room ? host : `${host.slice(0, Math.max(room - 1, 0))}~`;
  return `pgproof ${who} on ${place}${pid}`.slice(0, 63);
}

async function takeLock(client: SqlClient, name: string): Promise<void> {
  // Since 14 a server may end idle sessions, and this one is idle by design.
  await execute(client, `SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'`);
  const { taken } = await queryOne(
    client,
    'SELECT pg_try_advisory_lock($1, $2) AS taken',
    [...lockKey],
    z.object({ taken: z.boolean() }),
  );
  if (!taken) throw await busy(client, name);
}

const holderRow = z.object({ pid: z.number().int(), holder: z.string().nullable(), since: z.string().nullable() });

async function busy(client: SqlClient, name: string): Promise<PgproofError> {
  const [row] = await query(
    client,
    `SELECT l.pid, a.application_name AS holder,
            to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
       FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = $1 AND l.objid = $2
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [...lockKey],
    holderRow,
  );
  // It may have been let go in the meantime: busy all the same, for this attempt.
  const { pid = null, holder = null, since = null } = row ?? {};
  return new PgproofError(
    'cluster-busy',
    `cluster '${name}' is busy: ${holder || 'another operation'}, since ${since ?? 'a moment ago'}`,
    {
      facts: { cluster: name, holder, pid, since },
      hint: 'Wait for it to end; a lock whose holder has died frees itself.',
    },
  );
}

/** Runs `use` and watches the session meanwhile; when the session is lost, that is the error, whatever `use` says then. */
async function whileAlive<T>(
  client: SqlClient,
  use: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  const lost = new AbortController();
  const done = new AbortController();
  const watch = watchSession(client, lost, done.signal);
  const signal = outer === undefined ? lost.signal : AbortSignal.any([outer, lost.signal]);
  try {
    const result = await use(signal);
    if (lost.signal.aborted) throw abortReason(lost.signal);
    return result;
  } catch (error) {
    throw lost.signal.aborted ? abortReason(lost.signal) : error;
  } finally {
    done.abort();
    await watch;
  }
}

async function watchSession(client: SqlClient, lost: AbortController, done: AbortSignal): Promise<void> {
  const lose = (cause: unknown) =>
    lost.abort(new PgproofError('server-unreachable', 'the session that held the cluster lock was lost', { cause }));
  client.once('end', () => done.aborted || lose(new Error('the connection ended')));
  while (!done.aborted && !lost.signal.aborted) {
    try {
      await sleep(aliveSeconds * 1000, undefined, { signal: AbortSignal.any([done, lost.signal]) });
      await execute(client, 'SELECT 1');
    } catch (error) {
      if (!done.aborted) lose(error);
    }
  }
}
