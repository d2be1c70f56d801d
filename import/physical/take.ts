import { randomBytes } from 'node:crypto';
import { placesOf } from '../../backup/commit.ts';
import type { WalRange } from '../../backup/manifest.ts';
import { asPgproofError, PgproofError } from '../../core/errors.ts';
import { parseLsn } from '../../core/lsn.ts';
import type { Run } from '../../core/run.ts';
import { copiesToBe } from '../../parts/copies.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { withClusterLock } from '../../postgres/lock.ts';
import { backupOutcome } from '../../report/backup.ts';
import { reported } from '../../report/file.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { requireEra } from '../../repository/eras.ts';
import { assertOwner } from '../../repository/owner.ts';
import type { BackupRecord, EraRecord } from '../../repository/record.ts';
import type { Repository } from '../../repository/repository.ts';
import { gatherKnown } from '../../wal/known.ts';
import { type Begin, readBegin } from './begin.ts';
import { convert } from './convert.ts';
import { findBase, findBases, findWal, type OldBase } from './layout.ts';
import { endInLabels, openBase, rangeIn } from './opened.ts';
import { withScratch } from './restore.ts';
import { readPlain } from './segments.ts';
import { openGate, type TakenWal, takeWal } from './take-wal.ts';
import type { TakeOrder, Taking } from './taking.ts';

export type TakenPhysical = {
  wal: TakenWal;
  /** In the repository now; `existed` for one that an earlier run had taken. */
  taken: { base: string; backupId: string; existed: boolean }[];
  /** Not taken, and why; each can still be restored from its folder. */
  refused: { base: string; error: PgproofError }[];
};

/**
 * Takes an old physical folder over into the cluster's repositories: its WAL as old WAL of the current era, each base backup as a
 * backup, held against its manifest as it passes, where it has one. Repeating it takes what is missing. The folder is only read.
 * @throws {PgproofError} `era-undeclared`, `owner-other`, `cluster-busy`; `passphrase-missing`, `passphrase-wrong`; what the store says.
 */
export async function takeBases(cluster: ProtectedCluster, order: TakeOrder, run: Run): Promise<TakenPhysical> {
  const { dir, opening } = order;
  const chosen =
    order.bases === null ? await findBases(dir) : await Promise.all(order.bases.map((name) => findBase(dir, name)));
  const era = await requireEra(cluster.repository, cluster.name, { signal: run.signal });
  const copies = copiesToBe(cluster);
  await copies.each(run.signal, async (repository, signal) => {
    await assertOwner(repository, cluster, { signal });
    refuseOtherEra(era, await requireEra(repository, cluster.name, { signal }), repository);
  });
  const holder = { operation: 'import', id: randomBytes(4).toString('hex') };
  return withClusterLock(
    cluster,
    holder,
    async (signal) => {
      const locked = { ...run, signal };
      const gate = await openGate(cluster, era, await gatherKnown(cluster, { signal }), locked);
      const wal = await findWal(dir);
      const result: TakenPhysical = {
        wal: await takeWal(cluster, copies, gate, wal, opening, locked),
        taken: [],
        refused: [],
      };
      for (const base of chosen) await takeOne({ cluster, copies, gate, wal, order }, base, result, locked);
      return result;
    },
    { signal: run.signal },
  );
}

/** One backup has one era, wherever it lies. */
function refuseOtherEra({ era }: EraRecord, other: EraRecord, { name }: Repository): void {
  if (other.era === era) return;
  throw new PgproofError('era-mismatch', `the repository '${name}' expects ${other.era}, and the nearest ${era}`, {
    facts: { repository: name, eras: [era, other.era] },
    hint: 'They were filled apart from each other. Bring them together: pgproof copy',
  });
}

async function takeOne(taking: Taking, base: OldBase, result: TakenPhysical, run: Run): Promise<void> {
  const { cluster, order } = taking;
  try {
    const begin = await readBegin(base, order.opening, run.signal);
    const manifest = base.manifest === null ? null : await readPlain(base.manifest, order.opening, run.signal);
    const range = rangeIn(manifest) ?? (await rangeOf(taking, base, begin, run));
    const existing = await takenBefore(taking, range, run.signal);
    if (existing !== undefined) {
      result.taken.push({ base: base.name, backupId: existing.id, existed: true });
      return;
    }
    const { requestedBy, reason } = order;
    const asked = { operation: 'backup', workflow: null, requestedBy, reason, mode: 'import' } as const;
    let backupId = '';
    await reported(cluster, asked, async (started) => {
      const record = await convert(taking, base, { begin, range, manifest }, run);
      backupId = record.id;
      return backupOutcome(record, started, await placesOf(cluster, record, { signal: run.signal }));
    });
    result.taken.push({ base: base.name, backupId, existed: false });
  } catch (thrown) {
    const error = asPgproofError(thrown);
    if (run.signal.aborted || !aboutTheBase.has(error.code)) throw thrown;
    result.refused.push({ base: base.name, error });
  }
}

/** A base that cannot be taken keeps none of the others out. */
const aboutTheBase: ReadonlySet<string> = new Set([
  'backup-unverified',
  'backup-deleted',
  'manifest-invalid',
  'tar-invalid',
  'object-damaged',
  'object-missing',
  'era-mismatch',
  'wal-foreign',
  'wal-conflict',
  'wal-unreadable',
  'timeline-not-adopted',
  'segment-not-archived',
]);

/** Without a manifest: until where the archive says that the copy went, or the WAL itself. */
async function rangeOf({ wal, order }: Taking, base: OldBase, begin: Begin, run: Run): Promise<WalRange> {
  const { timeline, startLsn } = begin;
  const ended = await endInLabels(begin, wal, order.opening, run.signal);
  const endIn = async (scratch: string) => (await openBase(order.dir, base.name, order, scratch, run)).record.stopLsn;
  return { timeline, startLsn, endLsn: ended?.stopLsn ?? parseLsn(await withScratch(order.place, endIn)) };
}

/** One base backup of a cluster begins at one position: taken again it would be the same. */
async function takenBefore(
  { cluster, gate }: Taking,
  { timeline, startLsn, endLsn }: WalRange,
  signal: AbortSignal,
): Promise<BackupRecord | undefined> {
  const entries = await listBackups(cluster.repository, cluster.keys, cluster.name, { signal });
  return entries
    .flatMap((entry) => (entry.state === 'whole' && entry.era === gate.era.era ? [entry.record] : []))
    .find((record) => record.timeline === timeline && record.startLsn === startLsn && record.stopLsn === endLsn);
}
