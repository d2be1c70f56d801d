import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import { Copies, type Dropped } from '../parts/copies.ts';
import { inRepository, type ProtectedCluster, repositoriesToWrite } from '../postgres/cluster.ts';
import { findBackup, readRecord } from '../repository/catalogue.ts';
import { commitBackup } from '../repository/commit.ts';
import { currentEra } from '../repository/eras.ts';
import { basePrefix } from '../repository/layout.ts';
import { assertOwner } from '../repository/owner.ts';
import type { BackupRecord } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import { missingSegments } from '../wal/await.ts';
import { findPending, neededWal, noteDropped, type PendingBackup, readDropped, removePending } from './pending.ts';

/**
 * Makes the copied backup exist, in each repository that holds the copy: its commit file is the last write there, after that
 * repository itself was asked whether it holds every part and every segment from start to stop (invariant 1). One that is not
 * required and lacks something, or answers nothing for `patienceSeconds`, is left out. May be repeated: a backup that is committed is answered.
 * @throws {PgproofError} `owner-other`, `segment-not-archived`, `wal-conflict`, `backup-unverified`, `era-mismatch`, `backup-deleted`,
 * `backup-missing`.
 */
export async function commit(
  cluster: ProtectedCluster,
  id: string,
  run: Run,
  { patienceSeconds }: { patienceSeconds?: number } = {},
): Promise<BackupRecord> {
  const pending = await findPending(cluster, id);
  if (pending === undefined) return findCommitted(cluster, id);
  run.progress({ phase: 'commit' });
  const copies = holdersOf(cluster, pending);
  // All of them before the first is committed: what fails now leaves no backup anywhere.
  const isWhole = async (repository: Repository, signal: AbortSignal) => {
    const there = inRepository(cluster, repository);
    await assertOwner(repository, cluster, { signal });
    await assertEra(there, pending, signal);
    await assertWal(there, pending, signal);
    await assertParts(there, pending, signal);
  };
  await copies.each(run.signal, isWhole, patienceSeconds);
  const records: BackupRecord[] = [];
  const commitThere = async (repository: Repository, signal: AbortSignal) => {
    records.push(await commitBackup(repository, cluster.keys, pending, { signal }));
  };
  await copies.each(run.signal, commitThere, patienceSeconds);
  await noteDropped(cluster, id, copies.dropped);
  await removePending(cluster, id);
  return records[0] as BackupRecord;
}

/**
 * The backup, when an earlier attempt at this step got through: then every required repository has it.
 * @throws {PgproofError} `backup-missing`
 */
export async function findCommitted(cluster: ProtectedCluster, id: string): Promise<BackupRecord> {
  const required = repositoriesToWrite(cluster).find(({ name }) => isRequired(cluster.config, name)) as Repository;
  return findBackup(required, cluster.keys, cluster.name, id);
}

/**
 * The repositories that hold the copy.
 * @throws {PgproofError} why a required one cannot be used now; `backup-deleted` when one became required since.
 */
export function holdersOf(cluster: ProtectedCluster, { id, copies, dropped }: PendingBackup): Copies {
  const written = repositoriesToWrite(cluster);
  const names = copies ?? written.slice(0, 1).map(({ name }) => name);
  const late = written.find(({ name }) => isRequired(cluster.config, name) && !names.includes(name));
  if (late !== undefined) throw notCopiedThere(id, late);
  const holders = new Copies(
    cluster,
    written.filter(({ name }) => names.includes(name)),
    dropped,
  );
  for (const { name, error } of cluster.unavailable) if (names.includes(name)) holders.drop({ name }, error);
  return holders;
}

function notCopiedThere(id: string, { name }: Repository): PgproofError {
  return new PgproofError(
    'backup-deleted',
    `backup ${id} was not copied to repository '${name}', which is required now`,
    {
      facts: { backup: id, repository: name },
      hint: 'The configuration was changed meanwhile. Take another backup.',
    },
  );
}

/** Where a committed backup is, and why it is not where it was meant to be, too. */
export async function placesOf(
  cluster: ProtectedCluster,
  { id, era }: Pick<BackupRecord, 'id' | 'era'>,
  options: { signal?: AbortSignal } = {},
): Promise<{ repositories: string[]; dropped: Dropped[] }> {
  const noted = await readDropped(cluster, id);
  const repositories: string[] = [];
  const dropped: Dropped[] = [];
  for (const repository of writtenNames(cluster.config)) {
    try {
      const there = cluster.written.find(({ name }) => name === repository);
      if (there === undefined) throw cluster.unavailable.find(({ name }) => name === repository)?.error;
      await readRecord(there, cluster.keys, cluster.name, era, id, options);
      repositories.push(repository);
    } catch (thrown) {
      if (options.signal?.aborted) throw thrown;
      const { code, message } = asPgproofError(thrown);
      dropped.push(noted.find((one) => one.repository === repository) ?? { repository, code, message });
    }
  }
  return { repositories, dropped };
}

export async function assertEra(
  { repository, name }: ProtectedCluster,
  { era }: PendingBackup,
  signal: AbortSignal,
): Promise<void> {
  const current = await currentEra(repository, name, { signal });
  if (current?.era === era) return;
  throw new PgproofError(
    'era-mismatch',
    `the backup belongs to era ${era}, and ${current?.era ?? 'none'} is declared now`,
    {
      facts: { era, current: current?.era ?? null },
      hint: 'Take another backup: this one belongs to a cluster that is not protected any more.',
    },
  );
}

async function assertWal(cluster: ProtectedCluster, pending: PendingBackup, signal: AbortSignal): Promise<void> {
  const [first, ...more] = await missingSegments(cluster, neededWal(pending), { signal });
  if (first === undefined) return;
  throw new PgproofError('segment-not-archived', `segment ${first} of backup ${pending.id} is not in the repository`, {
    facts: { backup: pending.id, repository: cluster.repository.name, segment: first, missing: more.length + 1 },
    hint: `\`pgproof wal status ${cluster.name}\` says how far the archive reaches.`,
  });
}

/** What a store has accepted and what it holds may differ. */
async function assertParts(cluster: ProtectedCluster, pending: PendingBackup, signal: AbortSignal): Promise<void> {
  const held = new Map<string, number>();
  const prefix = basePrefix(cluster.name, pending.era, pending.id);
  for await (const { key, bytes } of cluster.repository.store.list(prefix, { signal })) held.set(key, bytes);
  const parts = [pending.manifest, ...pending.tablespaces.flatMap((tablespace) => tablespace.parts)];
  const wrong = parts.filter(({ key, storedBytes }) => held.get(key) !== storedBytes);
  if (wrong.length === 0) return;
  throw new PgproofError(
    'backup-unverified',
    `the repository does not hold ${wrong.length} parts of ${pending.id} as they were stored`,
    {
      facts: {
        backup: pending.id,
        repository: cluster.repository.name,
        keys: wrong.slice(0, 10).map(({ key }) => key),
        wrongParts: wrong.length,
      },
      hint: 'Take another backup, and look at the disk or the store of the repository.',
    },
  );
}
