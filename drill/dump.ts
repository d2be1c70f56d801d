import { abortReason } from '../core/abort.ts';
import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import type { RunId } from '../core/ids.ts';
import { type DrillResult, phasesOutsideRto } from '../core/report.ts';
import type { DrillRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import { majorOf } from '../dump/restore/programs.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { findTools } from '../postgres/tools.ts';
import { currentEra } from '../repository/eras.ts';
import { type Held, heldSeconds, holdInEach } from '../repository/held.ts';
import { assertReads } from '../repository/keys.ts';
import { Nearest } from '../repository/nearest.ts';
import type { DumpRecord } from '../repository/record.ts';
import { checkTargetFolder, refuseWithoutSpace } from '../restore/folder.ts';
import { inDrill } from './advice.ts';
import type { Attempt } from './attempt.ts';
import { type ChosenDump, chooseDrillDump } from './dump-choice.ts';
import { type RestoredDump, restoreIntoScratch } from './dump-restore.ts';
import { concludeDump } from './dump-verdict.ts';
import { restoreWholeIntoScratch } from './dump-whole.ts';
import { type DrillFolder, drillFolderAt, heldFor, makeDrillFolder } from './folder.ts';
import { cleanUpAfterKilled } from './leftovers.ts';
import { Phases } from './phases.ts';
import { refuseLongSocket } from './preflight.ts';
import { type Scratch, startScratch } from './scratch.ts';
import { tearDownScratch } from './teardown.ts';

type DumpDrill = ChosenDump & { major: number; startedAt: Date; notes: string[] };

/**
 * Proves that a dump can be restored: into an empty server of the same major, made for it on this host, with its roles, and asks the
 * restored database. The cluster's own server is not needed, and not touched. Whatever ends it after it began is a verdict, not an
 * error; nothing of it stays on the host.
 * @param held as for `runDrill`.
 * @throws {PgproofError} what made it impossible to begin: `backup-missing`, `dump-refused`, `tool-missing`, `root-refused`,
 * `key-write-only`, `no-space`; the signal's reason; `internal`.
 */
export async function runDumpDrill(
  cluster: ProtectedCluster,
  request: Pick<DrillRequest, 'dump' | 'database'>,
  run: Run,
  id: RunId,
  held: Held,
): Promise<DrillResult> {
  const phases = new Phases(run);
  const copies = new Nearest(cluster.repositories);
  const drill = await phases.time('preflight', () => prepare(cluster, drillFolderAt(cluster, id), request, run));
  const attempt: Attempt = { phases, run, copies, held, found: { checks: [drill.catalogue], error: null } };
  const folder = await makeDrillFolder(cluster, id);
  const restored = await prove(cluster, folder, drill, attempt);
  if (run.signal.aborted) throw abortReason(run.signal);
  if (hasCode(attempt.found.error, 'internal')) throw attempt.found.error;
  return concludeDump(cluster, drill, attempt, restored);
}

/** What must be so before anything is made; nothing of the cluster's server is asked. */
async function prepare(
  cluster: ProtectedCluster,
  folder: DrillFolder,
  request: Pick<DrillRequest, 'dump' | 'database'>,
  run: Run,
): Promise<DumpDrill> {
  const startedAt = new Date();
  assertReads(cluster);
  const notes = await cleanUpAfterKilled(cluster);
  await checkTargetFolder(cluster, folder.dataDir);
  refuseLongSocket(folder);
  const chosen = await chooseDrillDump(cluster, request, run.signal);
  const major = await majorFor(cluster, chosen.record, run.signal);
  await findTools(cluster.config.tools.bin, major);
  await refuseWithoutSpace(folder.dataDir, emptyServerBytes + chosen.record.dump.plainBytes);
  return { ...chosen, major, startedAt, notes };
}

/** What initdb makes, and a first segment of WAL. */
const emptyServerBytes = 64 * 1024 * 1024;

/** The dump's own; of an old file, which does not say it, that of its pg_dump, otherwise the cluster's. */
async function majorFor(
  cluster: ProtectedCluster,
  { id, server, toolVersion }: DumpRecord,
  signal: AbortSignal,
): Promise<number> {
  const known =
    server.major ?? majorOf(toolVersion) ?? (await currentEra(cluster.repository, cluster.name, { signal }))?.major;
  if (known !== undefined) return known;
  throw new PgproofError('dump-refused', `nothing says which PostgreSQL the dump ${id} is of`, { facts: { dump: id } });
}

/** Never rejects: what ends it early is found. @returns null where it ended early. */
async function prove(
  cluster: ProtectedCluster,
  folder: DrillFolder & { id: RunId },
  drill: DumpDrill,
  { phases, run, found, copies, held }: Attempt,
): Promise<RestoredDump | null> {
  let scratch: Scratch | null = null;
  let restored: RestoredDump | null = null;
  try {
    drill.notes.push(...(await phases.time('hold', () => holdDump(cluster, folder.id, drill.record, held, run))));
    const began = performance.now();
    scratch = await phases.time('server', async () =>
      startScratch(await findTools(cluster.config.tools.bin, drill.major), folder, run),
    );
    const restore = drill.record.kind === 'database' ? restoreIntoScratch : restoreWholeIntoScratch;
    restored = await restore(cluster, folder, drill, scratch, copies, run);
    const asking = restored.phases.filter(({ name }) => phasesOutsideRto.includes(name));
    const seconds = (performance.now() - began) / 1000 - asking.reduce((sum, phase) => sum + phase.seconds, 0);
    found.rtoSeconds = Math.round(seconds * 1000) / 1000;
    for (const phase of restored.phases) phases.add(phase.name, phase.seconds);
    found.checks.push(
      { name: 'restored', passed: true, detail: `every byte as its record says; ${restored.how}` },
      ...restored.checks,
    );
  } catch (error) {
    found.error = inDrill(asPgproofError(error), cluster.name);
  }
  const left = await phases.time('teardown', () => tearDownScratch(folder, scratch));
  drill.notes.push(...held.notes, ...left);
  return restored;
}

/** A dump is not deleted under a drill. */
async function holdDump(
  cluster: ProtectedCluster,
  drill: RunId,
  { id }: DumpRecord,
  held: Held,
  run: Run,
): Promise<string[]> {
  const order = { operation: 'drill', reason: heldFor(drill), seconds: heldSeconds } as const;
  const { holds, notes } = await holdInEach(cluster, order, { needs: [], dumps: [id] }, run);
  held.holds.push(...holds);
  return notes;
}
