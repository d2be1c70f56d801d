import { asPgproofError, PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import { historyFileName, type SegmentName } from '../../core/segment.ts';
import type { Copies } from '../../parts/copies.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { longestSeconds } from '../../postgres/run.ts';
import { readWalHeader } from '../../postgres/walpage.ts';
import { isCut, listCuts } from '../../repository/cuts.ts';
import type { EraRecord } from '../../repository/record.ts';
import { tagOf } from '../../repository/tag.ts';
import { listWal, putHistory, putSegment, type WalListing } from '../../repository/wal.ts';
import { judgeHistory, judgeSegment, type Known, type Verdict } from '../../wal/judge.ts';
import type { Opening } from '../peel.ts';
import type { OldWal } from './layout.ts';
import { readPlain } from './segments.ts';

export type TakenWal = {
  stored: number;
  /** Was there already, with the same content. */
  existed: number;
  /** Files that did not enter the archive, and why. */
  refused: { path: string; error: PgproofError }[];
};

/** What of the archive decides what may enter it; read once. */
export type Gate = { era: EraRecord; known: Known; listing: WalListing; cuts: Awaited<ReturnType<typeof listCuts>> };

export async function openGate(cluster: ProtectedCluster, era: EraRecord, known: Known, run: Run): Promise<Gate> {
  const { repository, name } = cluster;
  const options = { signal: run.signal };
  const listing = await listWal(repository, name, era.era, options);
  return { era, known, listing, cuts: await listCuts(repository, name, era.era, options) };
}

/**
 * Puts what lies in wal/ into the archive of the era: judged as the shipper judges (invariant 4), told by its content. What was
 * archived with other content is refused, never put beside it; what expired does not come back.
 */
export async function takeWal(
  cluster: ProtectedCluster,
  copies: Copies,
  gate: Gate,
  wal: OldWal,
  opening: Opening,
  run: Run,
): Promise<TakenWal> {
  const taken: TakenWal = { stored: 0, existed: 0, refused: [] };
  for (const [timeline, path] of wal.histories)
    await noting(taken, path, run, () =>
      takeHistory(cluster, copies, gate, historyFileName(timeline), path, opening, run),
    );
  const names = [...wal.segments].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, [path]] of names) {
    run.progress({ phase: 'take WAL', note: `${taken.stored + taken.existed} of ${names.length} segments` });
    await noting(taken, path as string, run, async () => {
      const { existed } = await takeSegment(cluster, copies, gate, name, path as string, opening, run);
      if (existed) taken.existed += 1;
      else taken.stored += 1;
    });
  }
  return taken;
}

/** @throws {PgproofError} why it may not enter the archive. */
export async function takeSegment(
  cluster: ProtectedCluster,
  copies: Copies,
  { era, known, listing, cuts }: Gate,
  name: SegmentName,
  path: string,
  opening: Opening,
  { signal }: Run,
): Promise<{ existed: boolean }> {
  const plain = await readPlain(path, opening, signal);
  refuseUnless(judgeSegment(name, plain.length, readWalHeader(plain), known), era, path);
  if (isCut(name, cuts, era.segmentBytes)) throw refused('wal-foreign', path, 'its time expired in the repository');
  const tag = tagOf(cluster.walKeys, cluster.name, era.era, name, plain);
  const there = listing.get(name) ?? [];
  if (there.length > 0 && !there.includes(tag))
    throw refused('wal-conflict', path, `the archive has ${name} with other content`);
  let existed = true;
  await copies.each(
    signal,
    async (repository, limited) => {
      const put = await putSegment(repository, cluster.walKeys, cluster.name, era.era, name, plain, {
        signal: limited,
      });
      existed &&= put.existed;
    },
    longestSeconds,
  );
  listing.set(name, [tag]);
  return { existed };
}

async function takeHistory(
  cluster: ProtectedCluster,
  copies: Copies,
  { era, known }: Gate,
  name: string,
  path: string,
  opening: Opening,
  { signal }: Run,
): Promise<void> {
  const bytes = await readPlain(path, opening, signal);
  const verdict = judgeHistory(name, bytes.toString('utf8'), known);
  if (verdict.verdict === 'release') return;
  refuseUnless(verdict, era, path);
  const timeline = Number.parseInt(name, 16);
  await copies.each(
    signal,
    (repository, limited) =>
      putHistory(repository, cluster.walKeys, cluster.name, era.era, timeline, bytes, { signal: limited }),
    longestSeconds,
  );
}

function refuseUnless(verdict: Verdict, { era }: EraRecord, path: string): void {
  if (verdict.verdict === 'release') return;
  if (verdict.verdict !== 'ship') throw verdict.error;
  if (verdict.lineage.era.era !== era)
    throw refused('era-mismatch', path, `it belongs to era ${verdict.lineage.era.era}`);
}

/** One file that may not enter keeps none of the others out; what is wrong with the repository ends it. */
async function noting(taken: TakenWal, path: string, { signal }: Run, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const error = asPgproofError(thrown);
    if (signal.aborted || !aboutTheFile.has(error.code)) throw thrown;
    taken.refused.push({ path, error });
  }
}

const aboutTheFile: ReadonlySet<string> = new Set([
  'wal-foreign',
  'wal-conflict',
  'wal-unreadable',
  'timeline-not-adopted',
  'era-mismatch',
  'object-damaged',
  'file-refused',
]);

const refused = (code: 'wal-foreign' | 'wal-conflict' | 'era-mismatch', path: string, why: string): PgproofError =>
  new PgproofError(code, `'${path}' does not enter the archive: ${why}`, { facts: { path } });
