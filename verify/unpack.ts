import { hasCode, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { backupKey } from '../repository/layout.ts';
import type { BackupRecord } from '../repository/record.ts';
import { fetchBackup } from '../restore/fetch.ts';
import { refuseWithoutSpace } from '../restore/folder.ts';
import { withoutStanding } from '../restore/stall.ts';
import { placeTablespaces } from '../restore/tablespaces.ts';
import { verifyBackup } from '../restore/verify.ts';
import { checkPart } from './contents.ts';
import type { Findings } from './findings.ts';
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
      if (!(await nameDamaged(cluster, record, findings, run))) {
        const object = backupKey(cluster.name, record.era, record.id);
        findings.add({ object, kind: 'damaged', why: error.message, subject: subjectOf(record) });
      }
      return false;
    }
  });
}

/** A stream that broke off does not say where: every part is asked. @returns whether one of them is to blame. */
async function nameDamaged(
  cluster: ProtectedCluster,
  record: BackupRecord,
  findings: Findings,
  { signal }: Run,
): Promise<boolean> {
  let isNamed = false;
  for (const part of partsOf(record)) {
    try {
      await checkPart(cluster, record, part, { signal });
    } catch (error) {
      if (!hasCode(error, 'object-damaged', 'object-missing')) throw error;
      const kind = error.code === 'object-missing' ? 'missing' : 'damaged';
      findings.add({ object: part.key, kind, why: error.message, subject: subjectOf(record) });
      isNamed = true;
    }
  }
  return isNamed;
}

const subjectOf = ({ era, id }: BackupRecord) => ({ of: 'backup', era, id }) as const;

/**
 * The backup to unpack: the newest, or the one whose id begins so.
 * @throws {PgproofError} `backup-missing`, `backup-ambiguous`
 */
export function chooseBackup(records: readonly BackupRecord[], wanted: string | null, cluster: string): BackupRecord {
  const sorted = records.toSorted((a, b) => (a.stoppedAt < b.stoppedAt ? -1 : 1));
  const fitting = wanted === null ? sorted.slice(-1) : sorted.filter(({ id }) => id.startsWith(wanted));
  const [backup] = fitting;
  if (backup === undefined) {
    throw new PgproofError(
      'backup-missing',
      `cluster '${cluster}' has no whole backup${wanted === null ? '' : ` '${wanted}'`}`,
      {
        facts: { cluster, backup: wanted },
        hint: `See: pgproof list ${cluster}`,
      },
    );
  }
  if (fitting.length === 1) return backup;
  throw new PgproofError('backup-ambiguous', `'${wanted}' begins ${fitting.length} backups of '${cluster}'`, {
    facts: { cluster, backup: wanted, fitting: fitting.map(({ id }) => id) },
    hint: 'Give more of the id.',
  });
}
