import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { backupResult, type DrillCheckResult, type DrillResult } from '../core/report.ts';
import type { Run } from '../core/run.ts';
import type { TimelineId } from '../core/segment.ts';
import { writtenNames } from '../core/written.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { inspectServer } from '../postgres/server.ts';
import { findTools } from '../postgres/tools.ts';
import { currentEra } from '../repository/eras.ts';
import { assertReads } from '../repository/keys.ts';
import { listBackupsIn, type Unasked } from '../repository/merged.ts';
import type { EraRecord } from '../repository/record.ts';
import { type AwayRepositories, reportsDown } from '../repository/report-entries.ts';
import { checkTargetFolder } from '../restore/folder.ts';
import { eraUndeclared } from '../wal/lineage.ts';
import type { DrillFolder } from './folder.ts';
import { cleanUpAfterKilled } from './leftovers.ts';
import { measureRpo } from './rpo.ts';

export type Prepared = Pick<DrillResult, 'rpoSeconds' | 'rpoReason' | 'rpoMeasured' | 'notes'> & {
  /** Of the primary. */
  timeline: TimelineId;
  catalogue: DrillCheckResult;
};

/**
 * What must be so before a drill writes anything; and the RPO, which must be measured before it does.
 * @throws {PgproofError} what makes a drill impossible, in particular `backup-missing`, `era-undeclared`, `era-mismatch`,
 * `server-in-recovery`, `tool-missing`, `root-refused`, `key-write-only`: then nothing was touched.
 */
export async function prepareDrill(cluster: ProtectedCluster, folder: DrillFolder, run: Run): Promise<Prepared> {
  assertReads(cluster);
  const notes = await cleanUpAfterKilled(cluster);
  await checkTargetFolder(cluster, folder.dataDir);
  refuseLongSocket(folder);
  const { repository, name } = archivedIn(cluster);
  const era = await currentEra(repository, name, { signal: run.signal });
  if (era === undefined) throw eraUndeclared(cluster.name);
  await findTools(cluster.config.tools.bin, era.major);
  const timeline = await inspectPrimary(cluster, era, run.signal);
  const catalogue = await checkCatalogue(cluster, era, run.signal);
  return { notes, timeline, catalogue, ...(await measureRpo(archivedIn(cluster), run)) };
}

/**
 * The cluster as the nearest repository has it that WAL is written to: what the drill writes is waited for there.
 * @throws {PgproofError} why none of them can be used.
 */
export function archivedIn(cluster: ProtectedCluster): ProtectedCluster {
  const [nearest] = cluster.written;
  if (nearest !== undefined) return inRepository(cluster, nearest);
  const names = writtenNames(cluster.config);
  throw cluster.unavailable.find(({ name }) => names.includes(name))?.error;
}

/** sun_path has 108 bytes with its end mark. Said now, and not after the files were fetched. */
export function refuseLongSocket({ workRoot }: DrillFolder): void {
  const socket = join(workRoot, '.s.PGSQL.5432');
  if (Buffer.byteLength(socket) <= 107) return;
  throw new PgproofError('server-settings', `the path of a drill's socket, '${socket}', is longer than 107 bytes`, {
    facts: { path: socket },
    hint: 'Use a shorter state folder: hosts.<name>.state.',
  });
}

async function inspectPrimary(cluster: ProtectedCluster, era: EraRecord, signal: AbortSignal): Promise<TimelineId> {
  const server = await inspectServer(cluster.config.connection, { signal });
  if (server.systemId !== era.systemId) {
    throw new PgproofError('era-mismatch', `the server of ${cluster.name} is not the one of era ${era.era}`, {
      facts: { cluster: cluster.name, era: era.era, systemId: server.systemId },
      hint: `After pg_upgrade or a new initdb: pgproof era new ${cluster.name}`,
    });
  }
  if (!server.inRecovery) return server.timeline;
  throw new PgproofError(
    'server-in-recovery',
    `the server of ${cluster.name} is a standby: a probe writes to the primary`,
    {
      facts: { cluster: cluster.name },
      hint: 'Correct the connection of the cluster: it must lead to the primary.',
    },
  );
}

/** Damage of a commit file is never hidden behind a backup that is whole: it is a check of its own. */
async function checkCatalogue(
  cluster: ProtectedCluster,
  era: EraRecord,
  signal: AbortSignal,
): Promise<DrillCheckResult> {
  const { entries, unasked } = await listBackupsIn(cluster.repositories, cluster.keys, cluster.name, { signal });
  const here = entries.filter((entry) => entry.era === era.era);
  if (here.length === 0) await refuseUnlessLost(cluster, era, signal);
  const isOne = cluster.repositories.length === 1;
  const damaged = here.flatMap(({ id, damagedIn }) =>
    damagedIn.map(({ repository, error }) => `${id}${isOne ? '' : ` in '${repository}'`}: ${error.message}`),
  );
  const whole = here.filter(({ state }) => state === 'whole').length;
  const detail =
    damaged.length > 0
      ? damaged.join('; ')
      : `${whole} ${whole === 1 ? 'backup' : 'backups'} of this era, every record readable${unaskedText(unasked)}`;
  return { name: 'catalogue', passed: whole > 0 && damaged.length === 0, detail };
}

const unaskedText = (unasked: readonly Unasked[]): string =>
  unasked.length === 0 ? '' : `; not asked: ${unasked.map(({ repository }) => repository).join(', ')}`;

/**
 * No backup yet is a refusal. No backup any more, though a report tells of one, is what a drill is there to find. A report that
 * cannot be read may be the one.
 */
async function refuseUnlessLost(
  { name, repositories }: ProtectedCluster,
  { era }: EraRecord,
  signal: AbortSignal,
): Promise<void> {
  const unread: AwayRepositories = new Map();
  const source = { cluster: name, repositories };
  for await (const entry of reportsDown([source], { kinds: new Set(['backup']) }, { signal, away: unread })) {
    if (entry.state === 'damaged') unread.set(entry.id, entry.error);
    else if (entry.report.status === 'SUCCESS' && backupResult.safeParse(entry.report.result).data?.era === era) return;
  }
  for (const error of unread.values()) throw error;
  throw new PgproofError('backup-missing', `there is no backup of ${name} yet, so there is nothing to drill`, {
    facts: { cluster: name, era },
    hint: `Take one: pgproof backup ${name}`,
  });
}
