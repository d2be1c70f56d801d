import { hasCode, type PgproofError } from '../core/errors.ts';
import type { FiledReport, Phase } from '../core/report.ts';
import type { VerifyRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import type { VerifiedRepository, VerifyResult } from '../core/verified.ts';
import { inRepository, type ProtectedCluster, repositoryCalled } from '../postgres/cluster.ts';
import { reported } from '../report/file.ts';
import type { Workflow } from '../report/report.ts';
import { verifyOutcome } from '../report/verify.ts';
import { chooseEither, listBothIn } from '../repository/either.ts';
import { assertOwner } from '../repository/owner.ts';
import { earlierVerifies } from './earlier.ts';
import { verifyRepository } from './repository.ts';
import { asOnlyVerify } from './scratch.ts';

export type VerifyAsked = Pick<VerifyRequest, 'repository' | 'share' | 'restore' | 'backup' | 'repair'>;

/**
 * Verifies the cluster's repositories and files one report about all of them.
 * @throws {PgproofError} `cluster-busy` and `owner-other`, which leave no report; `repository-unknown`, `backup-missing`, `backup-ambiguous`; `cancelled`. Damage is an answer, not an error.
 */
export async function reportedVerify(
  cluster: ProtectedCluster,
  request: VerifyAsked & Pick<VerifyRequest, 'reason' | 'requestedBy'>,
  run: Run,
  workflow: Workflow | null,
): Promise<FiledReport> {
  const { reason, requestedBy, share } = request;
  if (request.repository !== null) repositoryCalled(cluster, request.repository);
  await refuseUnknownBackup(cluster, request.backup, run.signal);
  if (request.repair) await refuseRepairOfOthers(cluster, request.repository, run.signal);
  return asOnlyVerify(cluster, run.signal, (signal, notes) => {
    const order = {
      operation: 'verify',
      workflow,
      requestedBy,
      reason,
      mode: share === 100 ? 'all' : `${share}%`,
    } as const;
    return reported(cluster, order, async () =>
      verifyOutcome(await verifyCluster(cluster, request, { ...run, signal }, notes)),
    );
  });
}

async function verifyCluster(
  cluster: ProtectedCluster,
  request: VerifyAsked,
  run: Run,
  notes: string[],
): Promise<VerifyResult> {
  const phases: Phase[] = [];
  const isAsked = ({ name }: { name: string }) => request.repository === null || name === request.repository;
  const earlier = await earlierVerifies(cluster, { signal: run.signal, perRepository: 10 });
  const repositories: VerifiedRepository[] = [];
  for (const repository of cluster.repositories.filter(isAsked)) {
    const one = inRepository(cluster, repository);
    repositories.push(await verifyRepository(one, request, earlier.get(repository.id) ?? [], run, { phases }));
  }
  for (const { name, error } of cluster.unavailable.filter(isAsked)) repositories.push(away(name, error));
  const { verdict, verdictReason } = verdictOf(repositories);
  return { verdict, verdictReason, share: request.share, repair: request.repair, repositories, phases, notes };
}

/** Damage anywhere is a no; whatever could not be looked at makes the rest inconclusive. */
function verdictOf(repositories: readonly VerifiedRepository[]): Pick<VerifyResult, 'verdict' | 'verdictReason'> {
  for (const verdict of ['failed', 'inconclusive'] as const) {
    const deciding = repositories.filter((one) => one.verdict === verdict);
    if (deciding.length === 0) continue;
    return { verdict, verdictReason: deciding.map((one) => `${one.repository}: ${one.verdictReason}`).join('; ') };
  }
  return { verdict: 'passed', verdictReason: null };
}

function away(repository: string, error: PgproofError): VerifiedRepository {
  return {
    repository,
    repositoryId: null,
    verdict: 'inconclusive',
    verdictReason: `it could not be opened: ${error.message}`,
    findings: [],
    findingsLeftOut: 0,
    foreignObjects: 0,
    objects: 0,
    bytes: 0,
    readObjects: 0,
    readBytes: 0,
    rotation: null,
    complete: false,
    unread: [],
    unpacked: [],
    dumpsRead: [],
    notes: [],
  };
}

/** Before hours of reading. A record that is damaged is what a verify is for. */
async function refuseUnknownBackup(
  cluster: ProtectedCluster,
  wanted: string | null,
  signal: AbortSignal,
): Promise<void> {
  if (wanted === null) return;
  const { repositories, keys, name } = cluster;
  const both = await listBothIn(repositories, keys, name, { signal });
  try {
    chooseEither(both, name, wanted);
  } catch (error) {
    if (hasCode(error, 'backup-missing', 'backup-ambiguous')) throw error;
  }
}

/** Reading is anybody's; replacing is the owner's. */
async function refuseRepairOfOthers(
  cluster: ProtectedCluster,
  wanted: string | null,
  signal: AbortSignal,
): Promise<void> {
  for (const repository of cluster.repositories)
    if (wanted === null || repository.name === wanted) await assertOwner(repository, cluster, { signal });
}
