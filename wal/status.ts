import type { Lsn } from '../core/lsn.ts';
import type { TimelineId } from '../core/segment.ts';
import type { FoundCluster } from '../postgres/cluster.ts';
import { inspectServer } from '../postgres/server.ts';
import { type ForeignFile, listForeign } from './foreign.ts';
import { answerOf, type Problem, problemOf, type RepositoryWal, repositoriesStatus } from './repository-status.ts';
import { makeSpool, readSpool } from './spool.ts';
import { isSpoolLocked } from './spool-lock.ts';

export type { RepositoryWal } from './repository-status.ts';

/** The cluster's own WAL; the archive's figures are those of the nearest repository that is written to and answers. */
export type WalStatus = Pick<
  RepositoryWal,
  'era' | 'timeline' | 'frontier' | 'missing' | 'archivedSegments' | 'lagBytes' | 'lagSeconds' | 'conflicts'
> & {
  /** Where the server writes; null when it cannot be asked. */
  serverLsn: Lsn | null;
  serverTimeline: TimelineId | null;
  spool: { files: number; bytes: number; waiting: RepositoryWal['shipper']['waiting'] };
  foreign: ForeignFile[];
  shipper: { alive: boolean } & Omit<RepositoryWal['shipper'], 'waiting'>;
  /** All that WAL is written to, nearest first. */
  repositories: RepositoryWal[];
  /** What needs a person, each with a code; empty when all is well. */
  problems: Problem[];
};

type Options = { signal?: AbortSignal };

/** Where the WAL of a cluster stands. What cannot be asked is null and a problem; only an abort is thrown. */
export async function walStatus(cluster: FoundCluster, options: Options = {}): Promise<WalStatus> {
  const spool = await makeSpool(cluster.paths.spool);
  const files = await readSpool(spool);
  const foreign = await listForeign(spool);
  const alive = await isSpoolLocked(spool.root);
  const server = await answerOf(inspectServer(cluster.config.connection, options), options);
  const spooled = new Set(files.map(({ name }) => name));
  const repositories = await repositoriesStatus(cluster, server.value, spooled, options);
  const nearest = repositories.find(({ frontier }) => frontier !== null) ?? (repositories[0] as RepositoryWal);
  const { era, timeline, frontier, missing, archivedSegments, lagBytes, lagSeconds, conflicts } = nearest;
  const { waiting, ...shipper } = nearest.shipper;
  return {
    ...{ era, timeline, frontier, missing, archivedSegments, lagBytes, lagSeconds, conflicts },
    serverLsn: server.value?.insertLsn ?? null,
    serverTimeline: server.value?.timeline ?? null,
    spool: { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), waiting },
    foreign,
    shipper: { alive, ...shipper },
    repositories,
    problems: [
      ...(server.error === null ? [] : [problemOf(server.error)]),
      ...repositories.flatMap(({ problems }) => problems),
      ...foreignProblem(foreign),
      ...(alive ? repositories.flatMap((one) => shipperProblems(one, repositories.length === 1)) : []),
      ...(alive ? [] : [noWorker(cluster.name, files.length)]),
      ...repositories.flatMap((one) => waitingProblem(one, repositories.length === 1)),
    ],
  };
}

function foreignProblem(foreign: readonly ForeignFile[]): Problem[] {
  const [first] = foreign;
  if (first === undefined) return [];
  const hint =
    'Look at each with `pgproof wal quarantine list`; nothing of it was archived, and nothing is deleted by itself.';
  return [
    { code: first.code, message: `${foreign.length} refused files in the spool, the first: ${first.reason}`, hint },
  ];
}

function noWorker(cluster: string, files: number): Problem {
  const message =
    files === 0
      ? 'no worker ships WAL on this host'
      : `no worker ships WAL on this host, and ${files} files wait in the spool`;
  const hint = `Start \`pgproof worker\` (or \`pgproof up\`) on the host of ${cluster}.`;
  return { code: 'worker-absent', message, hint };
}

function shipperProblems({ name, shipper: { lastError } }: RepositoryWal, isOnly: boolean): Problem[] {
  if (lastError === null) return [];
  const where = isOnly ? '' : ` of repository '${name}'`;
  return [{ code: lastError.code, message: `the shipper says${where}: ${lastError.message}`, hint: lastError.hint }];
}

function waitingProblem({ name, shipper }: RepositoryWal, isOnly: boolean): Problem[] {
  const [first] = shipper.waiting;
  if (first === undefined) return [];
  const message = isOnly ? first.message : `repository '${name}': ${first.message}`;
  return [{ code: first.code, message, hint: first.hint }];
}
