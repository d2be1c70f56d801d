import { abortReason } from '../../core/abort.ts';
import type { ConnectionConfig, DrillCheckConfig } from '../../core/config.ts';
import { asPgproofError } from '../../core/errors.ts';
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
