import type { ConnectionConfig } from '../../../core/config.ts';
import { asPgproofError } from '../../../core/errors.ts';
import type { Phase } from '../../../core/report.ts';
import type { Run } from '../../../core/run.ts';
import type { ProtectedCluster } from '../../../postgres/cluster.ts';
import { phaseTimer } from '../../../restore/phases.ts';
import { refuseFailed } from '../checks.ts';
import { quoted } from '../fit-words.ts';
import { applyGlobals } from '../globals.ts';
import { carriedOutOnce, type StartOptions } from '../once.ts';
import { connectionOf, type RestoreServer } from '../plan.ts';
import type { WholePlan } from '../plan-record.ts';
import { savePlannedResult } from '../plans.ts';
import { type WholeResult, wholeResult } from '../result.ts';
import { inScratch } from '../scratch.ts';
import type { DumpSource } from '../source.ts';
import { stageDump } from '../stage.ts';
import { databasesOf } from './occupied.ts';
import { lookAtWhole } from './plan.ts';
import { type RestoredDatabases, restoreDatabases, staged } from './restore.ts';

/**
 * Carries out the plan of a server's globals, or of a whole server: what is missing of the globals is made, and then psql runs the rest
 * of the script, which stops at the first error; the script can give it no commands.
 * @throws {PgproofError} `restore-unconfirmed`, `dump-restore-failed`, `database-not-empty`, `restore-unverified` where an assertion
 * fails; what `planWholeRestore` throws.
 */
export async function startWholeRestore(
  cluster: ProtectedCluster,
  plan: WholePlan,
  server: RestoreServer,
  run: Run,
  options: StartOptions,
): Promise<WholeResult> {
  return carriedOutOnce(cluster, plan, wholeResult, run, options, async (source, inner) => {
    if (plan.of === 'globals') return carryOut(cluster, plan, source, null, server, inner);
    return inScratch(cluster, async (staging) => {
      // What it has made of a server nobody takes back: none of it runs before all of it is proven.
      const path = await stageDump(source, staging, inner);
      return carryOut(cluster, plan, staged(source, path), path, server, inner);
    });
  });
}

/** @param path of the whole script, which is proven; null: there are globals only. */
async function carryOut(
  cluster: ProtectedCluster,
  plan: WholePlan,
  source: DumpSource,
  path: string | null,
  server: RestoreServer,
  run: Run,
): Promise<WholeResult> {
  const connection = connectionOf(server, plan.user);
  const phases: Phase[] = [];
  const timed = phaseTimer(phases, run);
  const { found, tools, globals } = await timed('prepare', () => lookAtWhole(source, server, plan, run));
  await timed('globals', () => applyGlobals(globals, tools, connection, run));
  const checks = source.content === 'all' ? cluster.config.drills.checks : [];
  const restored =
    path === null
      ? nothing
      : await restoreDatabases(source, path, { connection, tools, checks, timed }, run).catch(
          async (error: unknown) => {
            throw await tellingWhatStays(error, plan, connection);
          },
        );
  refuseFailed(restored.checks, { server: plan.server });
  const result: WholeResult = {
    kind: 'whole',
    of: plan.of,
    planId: plan.id,
    dump: source.what,
    sourceVersion: source.server?.version ?? null,
    server: plan.server,
    serverVersion: found.versionText,
    tool: `psql ${tools.version}`,
    plainBytes: source.plainBytes ?? 0,
    phases,
    roles: globals.makes,
    ...restored,
    conflicts: globals.conflicts,
    notes: plan.notes,
    finishedAt: new Date().toISOString(),
  };
  await savePlannedResult(cluster, result);
  return result;
}

const nothing: RestoredDatabases = { databases: [], checks: [] };

/** Whatever is there is there in part. Takes no signal: it tells of cancelled ones, too. */
async function tellingWhatStays(thrown: unknown, { server, cluster, id }: WholePlan, connection: ConnectionConfig) {
  const error = asPgproofError(thrown);
  const names = await databasesOf(connection, AbortSignal.timeout(10_000)).catch(() => null);
  const there = names === null ? 'What is there could not be asked.' : `It has the databases ${quoted(names)} now.`;
  const stays = `The server of '${server}' has a part of the dump. ${there} Empty it (a new data directory, by initdb), then: pgproof restore start ${cluster} ${id}`;
  return error.retold({
    facts: { server, databases: names ?? [] },
    hint: [error.hint, stays].filter((text) => text !== null).join(' '),
  });
}
