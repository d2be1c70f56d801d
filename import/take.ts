import { join } from 'node:path';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { isRequired } from '../core/written.ts';
import { copiesToBe } from '../parts/copies.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { dumpOutcome } from '../report/dump.ts';
import { reported } from '../report/file.ts';
import { listDumps } from '../repository/dumps.ts';
import { assertOwner } from '../repository/owner.ts';
import type { DumpRecord } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import { withFolderLock } from '../wal/spool-lock.ts';
import type { OldFacts } from './facts.ts';
import { inspect } from './inspect.ts';
import type { OldDump } from './inventory.ts';
import type { TakeDumpsOrder, ToTake } from './plan.ts';
import { storeDump } from './store.ts';
import { isOfTheFile } from './verify.ts';

/** What became of one: in the repository now, there already, or refused. */
export type Taken = {
  place: string;
  outcome: 'taken' | 'there' | 'refused';
  /** Of the dump in the repository. */
  id: string | null;
  facts: OldFacts;
  tier: string;
  error: PgproofError | null;
};

/**
 * Takes old dumps over into the cluster's repositories, one after the other, each with its report. What was taken before, by the name and
 * the SHA-256 of what is within, is not taken again. The old files are only read. One at a time on a host: two at once would take all of it
 * twice.
 * @param told each as it is done.
 * @throws {PgproofError} `owner-other`; `cluster-busy` while another one takes dumps over; what the store says. That one cannot be taken keeps
 * none of the others out.
 */
export async function takeDumps(
  cluster: ProtectedCluster,
  planned: readonly ToTake[],
  order: TakeDumpsOrder,
  run: Run,
  told: (taken: Taken) => void = () => {},
): Promise<Taken[]> {
  if (planned.length === 0) return [];
  return withFolderLock(join(cluster.paths.state, 'import'), busy(cluster), run.signal, async (signal) => {
    const inner = { ...run, signal };
    const copies = copiesToBe(cluster);
    for (const repository of copies.live) await assertOwner(repository, cluster, { signal });
    const first = copies.live.find(({ name }) => isRequired(cluster.config, name)) as Repository;
    const entries = await listDumps(first, cluster.keys, cluster.name, { signal });
    const there = entries.flatMap((entry) => (entry.state === 'whole' ? [entry.record] : []));
    const done: Taken[] = [];
    for (const each of planned) {
      const taken = await takeOne(cluster, each, there, order, inner);
      done.push(taken);
      told(taken);
    }
    return done;
  });
}

const busy =
  (cluster: ProtectedCluster) =>
  (cause: PgproofError): PgproofError =>
    new PgproofError('cluster-busy', `another import takes dumps over into '${cluster.name}' on this host`, {
      facts: { cluster: cluster.name, host: cluster.host },
      hint: 'When it has ended, repeat this one: what is there already is not taken again.',
      cause,
    });

async function takeOne(
  cluster: ProtectedCluster,
  each: ToTake,
  there: DumpRecord[],
  order: TakeDumpsOrder,
  run: Run,
): Promise<Taken> {
  const { dump, facts, tier } = each;
  const answer = { place: dump.place, facts, tier, error: null };
  try {
    if (dump.source === null) throw dump.error;
    const same = await findSame(cluster, dump, there, run);
    if (same !== undefined) return { ...answer, outcome: 'there', id: same.id };
    const record = await takeReported(cluster, each, order, run);
    there.push(record);
    return { ...answer, outcome: 'taken', id: record.id };
  } catch (thrown) {
    const error = asPgproofError(thrown);
    if (run.signal.aborted || !isOfTheFile(error)) throw thrown;
    return { ...answer, outcome: 'refused', id: null, error };
  }
}

/** A name alone is no proof: the scripts of two servers call their files the same. */
async function findSame(
  cluster: ProtectedCluster,
  dump: OldDump,
  there: readonly DumpRecord[],
  run: Run,
): Promise<DumpRecord | undefined> {
  const named = there.filter(({ importedFrom }) => importedFrom === dump.name);
  if (named.length === 0) return undefined;
  const { sha256 } = await inspect(dump, cluster.config.tools, run);
  return named.find((record) => record.dump.sha256 === sha256);
}

async function takeReported(
  cluster: ProtectedCluster,
  each: ToTake,
  { requestedBy, reason, opening }: TakeDumpsOrder,
  run: Run,
): Promise<DumpRecord> {
  let record: DumpRecord | undefined;
  const tool = each.facts.kind === 'database' ? 'pg_dump' : 'pg_dumpall';
  const of = each.database === null ? {} : { database: each.database };
  const asked = { operation: 'dump', workflow: null, requestedBy, reason, mode: 'import', tool, ...of } as const;
  await reported(cluster, asked, async (started) => {
    const stored = await storeDump(cluster, each, opening, run);
    record = stored.record;
    const { repositories, dropped } = stored.copies;
    return { ...dumpOutcome(cluster, record, started, { repositories, dropped: [...dropped] }, null), mode: 'import' };
  });
  return record as DumpRecord;
}
