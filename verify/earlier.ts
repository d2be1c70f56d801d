import { asPgproofError } from '../core/errors.ts';
import { report as reportSchema } from '../core/report.ts';
import { type VerifiedRepository, verifyResult } from '../core/verified.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readDocument } from '../repository/document.ts';
import { reportKey } from '../repository/layout.ts';
import type { StoreOptions } from '../storage/store.ts';
import { reportsOf } from './told.ts';

/** What an earlier run found out about one repository. */
export type EarlierVerify = { id: string; finishedAt: string; repository: VerifiedRepository };

/** More are not looked back to: a repository that was in none of them is as if it had never been verified. */
const mostLookedAt = 200;

/**
 * What earlier runs came to, of each repository, newest first. Reports are looked for in all repositories that answer: the one
 * that a run filed its report in may be away now.
 * @param options.perRepository so many of each. @defaultValue 1
 */
export async function earlierVerifies(
  cluster: ProtectedCluster,
  options: StoreOptions & { perRepository?: number } = {},
): Promise<Map<string, EarlierVerify[]>> {
  const { perRepository = 1, ...store } = options;
  const found = new Map<string, EarlierVerify[]>(cluster.repositories.map(({ id }) => [id, []]));
  const isEnough = () => [...found.values()].every((all) => all.length >= perRepository);
  for (const { id, from } of (await reportsOf(cluster, 'verify', store)).slice(0, mostLookedAt)) {
    if (isEnough()) break;
    const report = await readDocument(from.store, reportKey(cluster.name, id), reportSchema, store).catch(unlessGone);
    const parsed = verifyResult.safeParse(report?.result);
    if (report === undefined || !parsed.success) continue;
    for (const repository of parsed.data.repositories) {
      const all = repository.repositoryId === null ? undefined : found.get(repository.repositoryId);
      if (all !== undefined && all.length < perRepository) all.push({ id, finishedAt: report.finishedAt, repository });
    }
  }
  // Ids order by the second; two short runs may share one.
  for (const all of found.values()) all.sort((a, b) => (a.finishedAt < b.finishedAt ? 1 : -1));
  return found;
}

/** A report that cannot be read tells nothing; the run says what it finds itself. */
function unlessGone(error: unknown): undefined {
  const { code } = asPgproofError(error);
  if (code === 'object-missing' || code === 'record-invalid' || code === 'object-damaged') return undefined;
  throw error;
}
