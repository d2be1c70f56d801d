import { hasCode, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { longestSeconds, runTool } from '../postgres/run.ts';
import { findTools } from '../postgres/tools.ts';
import { markerName } from './folder.ts';
import type { RestorePlan } from './record.ts';
import { tablespaceFolder } from './tablespaces.ts';

/**
 * Compares every file that was unpacked with PostgreSQL's own manifest, by PostgreSQL's own program, before a server touches
 * them.
 * @throws {PgproofError} `restore-unverified` with what pg_verifybackup found.
 */
export async function verifyBackup(
  cluster: ProtectedCluster,
  plan: Pick<RestorePlan, 'backupId' | 'major' | 'into'>,
  run: Run,
): Promise<void> {
  const tools = await findTools(cluster.config.tools.bin, plan.major);
  run.progress({ phase: 'verify' });
  // Tablespaces are compared through their links in pg_tblspc; the folder that holds them is ours.
  const ours = [markerName, tablespaceFolder].map((name) => `--ignore=${name}`);
  try {
    await runTool(tools, 'pg_verifybackup', ['--no-parse-wal', '--exit-on-error', ...ours, plan.into], {
      signal: run.signal,
      timeoutSeconds: longestSeconds,
    });
  } catch (cause) {
    if (!hasCode(cause, 'tool-failed')) throw cause;
    throw new PgproofError(
      'restore-unverified',
      `what was unpacked from backup ${plan.backupId} is not what PostgreSQL's manifest says: ${cause.message}`,
      {
        facts: { backupId: plan.backupId, path: plan.into, ...cause.facts },
        hint: 'Restore from another backup, and look for what damages data on this host.',
        cause,
      },
    );
  }
}
