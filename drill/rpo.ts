import * as z from 'zod';
import type { DrillResult } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import { queryOne, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readFrontier } from '../wal/frontier.ts';
import { newestArchivedHeartbeat } from '../wal/heartbeat.ts';

type Measured = Pick<DrillResult, 'rpoSeconds' | 'rpoReason' | 'rpoMeasured'>;

/**
 * What would have been lost had the host died now: the server's clock minus the commit time of the newest heartbeat that the
 * repository holds. To be called before the drill writes anything: its own WAL switch would push out what an idle server
 * had not archived yet. The frontier is read before the clock, so that what is shipped in between makes the answer larger,
 * never smaller.
 */
export async function measureRpo(cluster: ProtectedCluster, run: Run): Promise<Measured> {
  const frontier = await readFrontier(cluster, { signal: run.signal });
  const startedAt = await serverClock(cluster, run.signal);
  run.progress({ phase: 'preflight', note: `the repository holds WAL up to ${frontier.lsn}` });
  const heartbeat = await newestArchivedHeartbeat(cluster, frontier);
  if (heartbeat === null) {
    return notMeasured(
      `no heartbeat is known up to ${frontier.lsn}, where the repository's WAL ends: is a worker running, and is the heartbeat installed?`,
    );
  }
  return {
    rpoSeconds: Math.max(0, (Date.parse(startedAt) - Date.parse(heartbeat.at)) / 1000),
    rpoReason: null,
    rpoMeasured: {
      startedAt,
      frontier: frontier.lsn,
      heartbeatSequence: heartbeat.sequence,
      heartbeatAt: heartbeat.at,
    },
  };
}

const notMeasured = (rpoReason: string): Measured => ({ rpoSeconds: null, rpoReason, rpoMeasured: null });

/** Both times of the difference are the server's own: the clocks of hosts differ. */
async function serverClock(cluster: ProtectedCluster, signal: AbortSignal): Promise<string> {
  const sql = `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`;
  const row = z.object({ now: z.iso.datetime() });
  const { now } = await withClient(cluster.config.connection, (client) => queryOne(client, sql, [], row), { signal });
  return now;
}
