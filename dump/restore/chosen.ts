import { randomBytes } from 'node:crypto';
import { runId } from '../../core/ids.ts';
import type { Run } from '../../core/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { type Held, holdIds, holdInEach, letGo } from '../../repository/held.ts';
import { findDumpIn } from '../../repository/merged.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { refuseIncomplete } from './complete.ts';
import type { DumpPlan, PlannedFile } from './plan-record.ts';
import { type DumpSource, dumpSource } from './source.ts';

const week = 7 * 86_400;

/** Id of a dump, or a beginning that only one has; or a file, opened already. */
export type AskedDump = { id: string } | { file: PlannedFile; source: DumpSource };

export type ChosenDump = { dump: DumpPlan['dump']; source: DumpSource; record?: DumpRecord; held?: Held };

/**
 * Hands the dump that is asked for to what plans its restore: held for a week, and there in all of its parts. When the plan fails,
 * nothing is held.
 * @throws {PgproofError} `backup-missing`, `object-missing`, `key-missing`, …
 */
export async function planningWith<Plan>(
  cluster: ProtectedCluster,
  asked: AskedDump,
  run: Run,
  plan: (chosen: ChosenDump) => Promise<Plan>,
): Promise<Plan> {
  if ('file' in asked) return plan({ dump: { file: asked.file }, source: asked.source });
  const record = await findDumpIn(cluster.repositories, cluster.keys, cluster.name, asked.id, run);
  const held = await holdInEach(cluster, { operation: 'plan', seconds: week }, { needs: [], dumps: [record.id] }, run);
  try {
    await refuseIncomplete(cluster, record, run);
    return await plan({ dump: { id: record.id }, source: dumpSource(cluster, record), record, held });
  } catch (error) {
    await letGo(held);
    throw error;
  }
}

/** What every plan says of its dump, whatever is restored from it. */
export function plannedOf(cluster: ProtectedCluster, { dump, source, record, held }: ChosenDump) {
  return {
    formatVersion: 1 as const,
    id: runId(new Date(), 'restore', randomBytes(4).toString('hex')),
    createdAt: new Date().toISOString(),
    cluster: cluster.name,
    repositoryIds: cluster.repositories.map(({ id }) => id),
    dump,
    source: {
      what: source.what,
      format: source.format,
      database: source.database,
      version: source.server?.version ?? null,
      takenAt: record?.startedAt ?? null,
      plainBytes: source.plainBytes,
    },
    holds: held === undefined ? [] : holdIds(held),
  };
}
