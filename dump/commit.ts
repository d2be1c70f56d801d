import { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { Copies } from '../parts/copies.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { commitDump, dumpParts } from '../repository/dumps.ts';
import { dumpPartPrefix } from '../repository/layout.ts';
import { assertOwner } from '../repository/owner.ts';
import type { DumpRecord } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import type { UnsignedDump } from './record.ts';
import { lastAlike, suddenlySmall } from './size.ts';

/** A dump that exists, and where. */
export type TakenDump = { record: DumpRecord; copies: Pick<Copies, 'dropped'> & { repositories: string[] } };

/**
 * Makes the dump exist, in each repository that has all of it: its commit file is the last write there, after that repository itself was
 * asked whether it holds every part. How it compares with the last one stands in it.
 * @throws {PgproofError} `owner-other`, `dump-unverified`, `backup-deleted`; what a required store says.
 */
export async function commit(
  cluster: ProtectedCluster,
  copies: Copies,
  dump: UnsignedDump,
  run: Run,
): Promise<TakenDump> {
  run.progress({ phase: 'commit' });
  const nearest = copies.live.find((repository) => copies.isRequired(repository)) ?? (copies.live[0] as Repository);
  const small = suddenlySmall(dump, await lastAlike(cluster, nearest, dump, run.signal));
  const record = { ...dump, findings: [...dump.findings, ...(small === null ? [] : [small])] };
  // All of them before the first is committed: what fails now leaves no dump anywhere.
  await copies.each(run.signal, async (repository, signal) => {
    await assertOwner(repository, cluster, { signal });
    await assertParts(repository, record, signal);
  });
  const committed: DumpRecord[] = [];
  await copies.each(run.signal, async (repository, signal) => {
    committed.push(await commitDump(repository, cluster.keys, record, { signal }));
  });
  const { live, dropped } = copies;
  return { record: committed[0] as DumpRecord, copies: { repositories: live.map(({ name }) => name), dropped } };
}

/** What a store has accepted and what it holds may differ. */
async function assertParts(repository: Repository, dump: UnsignedDump, signal: AbortSignal): Promise<void> {
  const held = new Map<string, number>();
  const prefix = dumpPartPrefix(dump.cluster, dump.id);
  for await (const { key, bytes } of repository.store.list(prefix, { signal })) held.set(key, bytes);
  const wrong = dumpParts(dump).filter(({ key, storedBytes }) => held.get(key) !== storedBytes);
  if (wrong.length === 0) return;
  throw new PgproofError(
    'dump-unverified',
    `repository '${repository.name}' does not hold ${wrong.length} parts of ${dump.id} as they were stored`,
    {
      facts: {
        dump: dump.id,
        repository: repository.name,
        keys: wrong.slice(0, 10).map(({ key }) => key),
        wrongParts: wrong.length,
      },
      hint: 'Nothing was committed. Look at the disk or the store of the repository.',
    },
  );
}
