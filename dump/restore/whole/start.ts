import { createReadStream } from 'node:fs';
import type { ConnectionConfig, DrillCheckConfig } from '../../../core/config.ts';
import { asPgproofError } from '../../../core/errors.ts';
import type { DrillCheckResult, Phase } from '../../../core/report.ts';
import type { Run } from '../../../core/run.ts';
import type { ProtectedCluster } from '../../../postgres/cluster.ts';
import { phaseTimer } from '../../../restore/phases.ts';
import { scriptArgs } from '../argv.ts';
import { askChecks, refuseFailed } from '../checks.ts';
import { countRestored } from '../count.ts';
import { quoted } from '../fit-words.ts';
import { applyGlobals, mostGlobals } from '../globals.ts';
import { carriedOutOnce, type StartOptions } from '../once.ts';
import { connectionOf, type RestoreServer } from '../plan.ts';
import type { WholePlan } from '../plan-record.ts';
import { savePlannedResult } from '../plans.ts';
import { knowsRestrict } from '../programs.ts';
import { type WholeResult, wholeResult } from '../result.ts';
import { runRestorer } from '../run-tools.ts';
import { inScratch } from '../scratch.ts';
import { restriction } from '../script.ts';
import type { DumpSource } from '../source.ts';
import { stageDump } from '../stage.ts';
import { readHead } from './head.ts';
import { databasesOf } from './occupied.ts';
import { type LookedAt, lookAtWhole } from './plan.ts';
import { WholeScript } from './script.ts';

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
      return carryOut(cluster, plan, { ...source, read: readOf(path) }, path, server, inner);
    });
  });
}

const readOf =
  (path: string): DumpSource['read'] =>
  async (_, take, { signal }) => {
    for await (const chunk of createReadStream(path, { signal })) await take(chunk as Buffer);
  };

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
  const restored =
    path === null ? nothing : await restoreDatabases(cluster, plan, source, path, server, { tools, timed, run });
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

type Restored = Pick<WholeResult, 'databases' | 'checks'>;
const nothing: Restored = { databases: [], checks: [] };
type Tools = Pick<LookedAt, 'tools'> & { timed: ReturnType<typeof phaseTimer>; run: Run };

async function restoreDatabases(
  { config }: ProtectedCluster,
  plan: WholePlan,
  source: DumpSource,
  path: string,
  server: RestoreServer,
  { tools, timed, run }: Tools,
): Promise<Restored> {
  const connection = connectionOf(server, plan.user);
  try {
    const began = performance.now();
    await timed('restore', () => runScript(source, path, connection, tools, run));
    const seconds = (performance.now() - began) / 1000;
    const names = (await databasesOf(connection, run.signal)).filter((name) => !/^template[01]$/.test(name));
    const databases = await timed('count', async () => {
      const counted: WholeResult['databases'] = [];
      for (const name of names) {
        const { tables, largest } = await countRestored(connection, name, null, seconds / names.length, run.signal);
        counted.push({ name, tables: tables.found, largest });
      }
      return counted;
    });
    const checks = await timed('checks', () =>
      askAll(connection, source.content === 'all' ? config.drills.checks : [], names, run),
    );
    return { databases, checks };
  } catch (error) {
    throw await tellingWhatStays(error, plan, connection);
  }
}

/** A psql for each stretch between two `\connect`. */
async function runScript(
  source: DumpSource,
  path: string,
  connection: ConnectionConfig,
  tools: LookedAt['tools'],
  run: Run,
): Promise<void> {
  const { sql, settings } = await readHead(source, mostGlobals, run);
  const file = createReadStream(path, { start: sql.length, highWaterMark: 1024 * 1024 });
  const script = new WholeScript(file);
  let before = settings;
  try {
    while (script.database !== null) {
      const args = scriptArgs(connection, script.database, false);
      const read = async (take: (chunk: Buffer) => Promise<void>): Promise<void> => {
        await take(Buffer.from(`${knowsRestrict(tools) ? restriction() : ''}${before}`, 'latin1'));
        await script.readSection(take);
      };
      await runRestorer(tools, 'psql', args, connection, read, run);
      before = '';
    }
  } finally {
    file.destroy();
  }
}

/** Those of the databases that are there now. */
async function askAll(
  connection: ConnectionConfig,
  checks: readonly DrillCheckConfig[],
  names: readonly string[],
  run: Run,
): Promise<DrillCheckResult[]> {
  const results: DrillCheckResult[] = [];
  for (const name of names) {
    const own = checks.filter(({ database }) => database === name);
    results.push(...(await askChecks(connection, name, own, run.signal)));
  }
  return results;
}

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
