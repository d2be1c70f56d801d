import { hasCode } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { SealedParts } from '../parts/reader.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { backupKey } from '../repository/layout.ts';
import type { BackupRecord, StoredPart } from '../repository/record.ts';
import { fetchBackup } from '../restore/fetch.ts';
import { refuseWithoutSpace } from '../restore/folder.ts';
import { withoutStanding } from '../restore/stall.ts';
import { placeTablespaces } from '../restore/tablespaces.ts';
import { verifyBackup } from '../restore/verify.ts';
import { checkPart } from './contents.ts';
import type { Findings, Subject } from './findings.ts';
import { inScratch } from './scratch.ts';
import { partsOf } from './work.ts';

/** After so long without a byte, neither store nor disk is waited for any more. */
const standingSeconds = 600;
/** Blocks of small files, and what the file system keeps for itself. */
const overhead = 1.05;

/**
 * Unpacks a backup, out of this repository alone, into a scratch folder and lets pg_verifybackup compare every file.
 * @returns whether it is whole; that it is not becomes a finding.
 * @throws {PgproofError} `no-space` before anything is written; `tool-missing`, `key-missing`, `key-write-only`; what the store says.
 */
export async function unpackAndVerify(
  cluster: ProtectedCluster,
  record: BackupRecord,
  findings: Findings,
  run: Run,
): Promise<boolean> {
  const alone = { ...inRepository(cluster, cluster.repository), repositories: [cluster.repository] };
  const bytes = partsOf(record).reduce((sum, { plainBytes }) => sum + plainBytes, 0);
  await refuseWithoutSpace(cluster.paths.drills, Math.ceil(bytes * overhead));
  return inScratch(cluster, record.id, async (into) => {
    const { id: backupId, major } = record;
    const plan = { backupId, major, into, tablespaces: placeTablespaces(record, into) };
    try {
      await withoutStanding(run, standingSeconds, (guarded) => fetchBackup(alone, plan, guarded));
      await verifyBackup(alone, plan, run);
      return true;
    } catch (error) {
      if (!hasCode(error, 'object-damaged', 'object-missing', 'restore-unverified', 'tar-invalid')) throw error;
      if (!(await nameDamaged(cluster, record, partsOf(record), subjectOf(record), findings, run))) {
        const object = backupKey(cluster.name, record.era, record.id);
        findings.add({ object, kind: 'damaged', why: error.message, subject: subjectOf(record) });
      }
      return false;
    }
  });
}

/** A stream that broke off does not say where: every part is asked. @returns whether one of them is to blame. */
export async function nameDamaged(
  cluster: ProtectedCluster,
  record: SealedParts,
  parts: readonly StoredPart[],
  subject: Subject,
  findings: Findings,
  { signal }: Run,
): Promise<boolean> {
  let isNamed = false;
  for (const part of parts) {
    try {
      await checkPart(cluster, record, part, { signal });
    } catch (error) {
      if (!hasCode(error, 'object-damaged', 'object-missing')) throw error;
      const kind = error.code === 'object-missing' ? 'missing' : 'damaged';
      findings.add({ object: part.key, kind, why: error.message, subject });
      isNamed = true;
    }
  }
  return isNamed;
}

const subjectOf = ({ era, id }: BackupRecord) => ({ of: 'backup', era, id }) as const;
