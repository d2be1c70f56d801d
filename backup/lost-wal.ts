import { hasCode, PgproofError } from '../core/errors.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { inspectServer } from '../postgres/server.ts';
import { currentLineage, currentPath } from '../wal/lineage.ts';
import { readSpool, spoolAt } from '../wal/spool.ts';
import { assertEra } from './commit.ts';
import type { PendingBackup } from './pending.ts';

/**
 * Refuses to wait any longer for the WAL of a copied backup that nobody has: the cluster's timeline left the backup's before its stop, another era
 * was declared, or the server is another one now and nothing of the old one waits in the spool. What cannot be asked in this moment is no
 * answer.
 * @throws {PgproofError} `wal-lost`, `era-mismatch`; the signal's reason.
 */
export async function refuseLostWal(
  cluster: ProtectedCluster,
  pending: PendingBackup,
  signal: AbortSignal,
): Promise<void> {
  for (const assert of [assertEra, assertOnPath, assertSameServer]) {
    try {
      await assert(cluster, pending, signal);
    } catch (error) {
      if (signal.aborted || hasCode(error, 'wal-lost', 'era-mismatch')) throw error;
    }
  }
}

async function assertOnPath(
  cluster: ProtectedCluster,
  { id, timeline, stopLsn }: PendingBackup,
  signal: AbortSignal,
): Promise<void> {
  const lineage = await currentLineage(cluster, { signal });
  if (lineage.newest <= timeline) return;
  const path = currentPath(lineage);
  const own = path.find((each) => each.timeline === timeline);
  const left = own?.endLsn ?? path.find((each) => each.timeline > timeline)?.beginLsn ?? null;
  if (own !== undefined && left !== null && compareLsn(stopLsn as Lsn, left) <= 0) return;
  throw new PgproofError(
    'wal-lost',
    `the cluster went on as timeline ${lineage.newest}, which left timeline ${timeline} at ${left}: the WAL up to ${stopLsn}, which backup ${id} needs, is not its own any more`,
    { facts: { backup: id, timeline, stopLsn, newTimeline: lineage.newest, switchLsn: left }, hint },
  );
}

async function assertSameServer(
  { config, paths }: ProtectedCluster,
  { id, systemId, stopLsn }: PendingBackup,
  signal: AbortSignal,
): Promise<void> {
  if ((await readSpool(spoolAt(paths.spool))).length > 0) return;
  const server = await inspectServer(config.connection, { signal, ...patience });
  if (server.systemId === systemId) return;
  throw new PgproofError(
    'wal-lost',
    `the server is another one now (system identifier ${server.systemId}, not ${systemId}), and the spool is empty: nobody has the WAL up to ${stopLsn}, which backup ${id} needs`,
    { facts: { backup: id, systemId, stopLsn, newSystemId: server.systemId }, hint },
  );
}

const patience = { connectTimeoutSeconds: 5, statementTimeoutSeconds: 5, applicationName: 'pgproof backup' };
const hint = 'Take another backup.';
