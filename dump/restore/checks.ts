import { abortReason } from '../../core/abort.ts';
import type { ConnectionConfig, DrillCheckConfig } from '../../core/config.ts';
import { asPgproofError, type Facts, PgproofError } from '../../core/errors.ts';
import type { DrillCheckResult } from '../../core/report.ts';
import { askAssertion } from '../../postgres/assertion.ts';
import { withClient } from '../../postgres/client.ts';

/** How long one may take. */
const patienceSeconds = 300;

/** Asks everything in the restored database, whatever the configuration calls it. What could not be asked has `passed: null`. */
export async function askChecks(
  connection: ConnectionConfig,
  database: string,
  checks: readonly DrillCheckConfig[],
  signal: AbortSignal,
): Promise<DrillCheckResult[]> {
  const results: DrillCheckResult[] = [];
  for (const { name, sql } of checks) results.push({ name, ...(await ask(connection, database, sql, signal)) });
  return results;
}

/**
 * Everything is there, and the questions of the configuration say that it is not what it should be.
 * @throws {PgproofError} `restore-unverified`
 */
export function refuseFailed(checks: readonly DrillCheckResult[], facts: Facts): void {
  const failed = checks.filter(({ passed }) => passed !== true);
  if (failed.length === 0) return;
  const told = failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
  throw new PgproofError('restore-unverified', `checks of what was restored did not pass: ${told}`, {
    facts: { ...facts, checks: failed.map(({ name }) => name) },
    hint: 'Look at what is in it; the checks stand in the configuration, under drills.',
  });
}

async function ask(
  connection: ConnectionConfig,
  database: string,
  sql: string,
  signal: AbortSignal,
): Promise<Omit<DrillCheckResult, 'name'>> {
  try {
    const options = { database, signal, statementTimeoutSeconds: patienceSeconds };
    return await withClient(connection, (client) => askAssertion(client, sql), options);
  } catch (thrown) {
    if (signal.aborted) throw abortReason(signal);
    const error = asPgproofError(thrown);
    return { passed: null, detail: `${error.message} [${error.code}]` };
  }
}
