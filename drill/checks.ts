import * as z from 'zod';
import { abortReason } from '../core/abort.ts';
import type { ConnectionConfig, DrillCheckConfig } from '../core/config.ts';
import { asPgproofError, hasCode } from '../core/errors.ts';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import type { DrillCheckResult } from '../core/report.ts';
import { askAssertion, type Judged } from '../postgres/assertion.ts';
import { queryOne, type SqlClient, withClient } from '../postgres/client.ts';
import { type Probe, readMarkers } from './probe.ts';

/** One question to a restored server. */
type Question = { name: string; ask(): Promise<Judged> };

export const ownChecks = ['pg_verifybackup', 'stopped-at-target', 'marker-a-present', 'marker-b-absent'] as const;

/** How long one check may take, in seconds. */
const patienceSeconds = 300;

/**
 * Asks the restored server everything, while it stands paused at the target. Every name is answered: a question that could
 * not be asked has `passed: null`. Asked as the config's own role, which can do no more here than on the primary.
 */
export async function askEverything(
  server: ConnectionConfig,
  probe: Probe,
  checks: readonly DrillCheckConfig[],
  signal: AbortSignal,
): Promise<DrillCheckResult[]> {
  const inDatabase = <T>(database: string, use: (client: SqlClient) => Promise<T>): Promise<T> =>
    withClient(server, use, { database, signal, statementTimeoutSeconds: patienceSeconds });
  const inOurs = <T>(use: (client: SqlClient) => Promise<T>): Promise<T> => inDatabase(server.database, use);
  const questions: Question[] = [
    { name: 'stopped-at-target', ask: () => inOurs((client) => stoppedAt(client, probe.lsn)) },
    { name: 'marker-a-present', ask: () => inOurs((client) => hasMarkerA(client, probe)) },
    { name: 'marker-b-absent', ask: () => inOurs((client) => hasNoMarkerB(client, probe)) },
    ...checks.map(({ name, database, sql }) => ({
      name,
      ask: () => inDatabase(database, (client) => askAssertion(client, sql)),
    })),
  ];
  const results: DrillCheckResult[] = [];
  for (const question of questions) results.push(await answer(question, signal));
  return results;
}

/** The names that a drill owes an answer to, for one that ended before it could ask: none of them is left out. */
export function unasked(
  answered: readonly DrillCheckResult[],
  names: readonly string[],
  why: string,
): DrillCheckResult[] {
  return names
    .filter((name) => !answered.some((check) => check.name === name))
    .map((name) => ({ name, passed: null, detail: why }));
}

async function answer({ name, ask }: Question, signal: AbortSignal): Promise<DrillCheckResult> {
  try {
    return { name, ...(await ask()) };
  } catch (thrown) {
    if (signal.aborted) throw abortReason(signal);
    const error = asPgproofError(thrown);
    // XX001 and XX002: damaged data, a damaged index. The question was answered after all.
    const damaged = hasCode(error, 'sql-failed') && ['XX001', 'XX002'].includes(String(error.facts.sqlstate));
    return { name, passed: damaged ? false : null, detail: `${error.message} [${error.code}]` };
  }
}

/** The end of the restore point's own record: not a record more, not a record less. */
async function stoppedAt(client: SqlClient, lsn: Lsn): Promise<Judged> {
  const row = z.object({ recovery: z.boolean(), paused: z.boolean(), lsn: z.string().nullable() });
  const sql = `SELECT recovery, CASE WHEN recovery THEN pg_is_wal_replay_paused() ELSE false END AS paused,
                      pg_last_wal_replay_lsn()::text AS lsn
                 FROM (SELECT pg_is_in_recovery() AS recovery) AS now`;
  const state = await queryOne(client, sql, [], row);
  const stopped = state.lsn === null ? 'nowhere' : parseLsn(state.lsn);
  if (!state.recovery || !state.paused) return { passed: false, detail: `replay is not paused; it came to ${stopped}` };
  return { passed: stopped === lsn, detail: `replay stopped at ${stopped}, the restore point ends at ${lsn}` };
}

async function hasMarkerA(client: SqlClient, { drillId }: Probe): Promise<Judged> {
  const passed = (await readMarkers(client, drillId)).includes('A');
  return { passed, detail: `the row written before the restore point is ${passed ? 'there' : 'MISSING'}` };
}

async function hasNoMarkerB(client: SqlClient, { drillId }: Probe): Promise<Judged> {
  const passed = !(await readMarkers(client, drillId)).includes('B');
  return { passed, detail: `the row written after the restore point is ${passed ? 'not there' : 'THERE'}` };
}
