import { hasCode, PgproofError } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import { drillResult, report as reportSchema } from '../core/report.ts';
import type { DumpProof } from '../core/retention/dumps.ts';
import type { ProofFacts } from '../core/retention/facts.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readDocument } from '../repository/document.ts';
import { reportPrefix } from '../repository/layout.ts';

/** Drills that passed. */
export type Proofs = { backups: readonly ProofFacts[]; dumps: readonly DumpProof[] };

/** Reports under way at once. */
const width = 8;

/**
 * The drills that passed, by the reports in this repository.
 * @throws {PgproofError} `record-invalid` for a drill's report that cannot be read: it may be the only proof, so that nothing is deleted.
 */
export async function readProofs({ repository, name }: ProtectedCluster, signal: AbortSignal): Promise<Proofs> {
  const keys: string[] = [];
  for await (const { key } of repository.store.list(reportPrefix(name), { signal }))
    if (/\/\d{8}T\d{6}Z-drill-[0-9a-f]{8}\.json$/.test(key)) keys.push(key);
  const proofs: { backups: ProofFacts[]; dumps: DumpProof[] } = { backups: [], dumps: [] };
  for (let next = 0; next < keys.length; next += width) {
    const read = await Promise.all(keys.slice(next, next + width).map((key) => readProof(repository, key, signal)));
    for (const proof of read) {
      if (proof === null) continue;
      if ('dump' in proof) proofs.dumps.push(proof);
      else proofs.backups.push(proof);
    }
  }
  return proofs;
}

async function readProof(
  { store }: ProtectedCluster['repository'],
  key: string,
  signal: AbortSignal,
): Promise<ProofFacts | DumpProof | null> {
  const report = await readDocument(store, key, reportSchema, { signal }).catch((error: unknown) => {
    throw hasCode(error, 'record-invalid', 'repository-format', 'object-damaged') ? unreadable(key, error) : error;
  });
  const parsed = drillResult.safeParse(report.result);
  // Attempts that ended by an error have a result of another shape, and none of them passed.
  if (!parsed.success && report.result.verdict === 'passed') throw unreadable(key, parsed.error);
  if (!parsed.success || parsed.data.verdict !== 'passed') return null;
  const { backupId, dump, reachedWal } = parsed.data;
  if (dump !== null) return { drill: report.id, dump: dump.id, at: report.finishedAt };
  if (backupId === null) return null;
  const upTo = reachedWal === null ? null : { timeline: reachedWal.timeline, lsn: reachedWal.lsn as Lsn };
  return { drill: report.id, backup: backupId, at: report.finishedAt, upTo };
}

function unreadable(key: string, cause: unknown): PgproofError {
  return new PgproofError('record-invalid', `the drill report '${key}' cannot be read, and it may be a proof`, {
    facts: { key },
    hint: 'Nothing is deleted while it is there like this. Bring it from another repository, or remove it by hand.',
    cause,
  });
}
