import * as z from 'zod';
import type { ConnectionConfig } from '../core/config.ts';
import { hasCode } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { RecoveryTarget } from '../core/target.ts';
import { queryOne, withClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { prepareFolder } from '../restore/clean.ts';
import { configureRecovery } from '../restore/configure.ts';
import { fetchBackup } from '../restore/fetch.ts';
import { planRestore } from '../restore/plan.ts';
import type { RestorePlan } from '../restore/record.ts';
import { type Recovery, recover } from '../restore/recover.ts';
import { verifyBackup } from '../restore/verify.ts';
import type { Attempt, Found } from './attempt.ts';
import { type DrillFolder, heldFor } from './folder.ts';
import type { Probe } from './probe.ts';

/** A restored server that stands paused at its target. */
export type Sandbox = {
  /** In the database that holds schema `pgproof`, as the role that the config names. */
  connection: ConnectionConfig;
  stop(): Promise<void>;
};

/**
 * Restores to the probe's restore point, with the same steps as a real restore, and stops the RTO's clock at the first
 * answered query. The clock began when the target was chosen, which is when this is called.
 * @throws {PgproofError} what a restore throws; nothing runs after a throw.
 */
export async function restoreIntoSandbox(
  cluster: ProtectedCluster,
  folder: DrillFolder,
  probe: Probe,
  { phases, run, found, copies, held }: Attempt,
): Promise<Sandbox> {
  const chosenAt = performance.now();
  const target: RecoveryTarget = {
    type: 'name',
    value: probe.restorePoint,
    inclusive: true,
    timeline: null,
    action: 'pause',
  };
  const drill = { reason: heldFor(folder.id), held };
  const plan = await phases.time('plan', () => planRestore(cluster, { target, into: folder.dataDir }, run, drill));
  found.backupId = plan.backupId;
  await phases.time('fetch', async () => {
    await prepareFolder(cluster, plan);
    await fetchBackup(cluster, plan, run, copies);
  });
  await phases.time('verify', () => verify(cluster, plan, run, found));
  await phases.time('configure', () => configureRecovery(plan, 'sandbox'));
  const { recovery, connection } = await phases.time('recover', async () => {
    const recovering = await recover(cluster, plan, 'sandbox', run, { workRoot: folder.workRoot, copies });
    return { recovery: recovering, connection: await firstAnswer(cluster, recovering, run.signal) };
  });
  found.rtoSeconds = Math.round(performance.now() - chosenAt) / 1000;
  found.reached = recovery.reached.reason?.replace(/^recovery stopping /, '') ?? null;
  return { connection, stop: () => recovery.stop('immediate') };
}

/** What PostgreSQL's own program finds is a check by name, whichever way it comes out. */
async function verify(cluster: ProtectedCluster, plan: RestorePlan, run: Run, found: Found): Promise<void> {
  const name = 'pg_verifybackup';
  try {
    await verifyBackup(cluster, plan, run);
    found.checks.push({ name, passed: true, detail: `every file of ${plan.backupId} is as its manifest says` });
  } catch (error) {
    if (hasCode(error, 'restore-unverified')) found.checks.push({ name, passed: false, detail: error.message });
    throw error;
  }
}

async function firstAnswer(
  cluster: ProtectedCluster,
  recovery: Recovery,
  signal: AbortSignal,
): Promise<ConnectionConfig> {
  const { database } = cluster.config.connection;
  const connection = { ...recovery.server.connection, database };
  const row = z.object({ one: z.literal(1) });
  try {
    await withClient(connection, (client) => queryOne(client, 'SELECT 1 AS one', [], row), { signal });
    return connection;
  } catch (error) {
    await recovery.stop('immediate');
    throw error;
  }
}
