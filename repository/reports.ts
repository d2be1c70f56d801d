import { type Report, report as reportSchema } from '../core/report.ts';
import { createIdentical } from '../storage/create.ts';
import type { StoreOptions } from '../storage/store.ts';
import { canonicalBytes, readDocument } from './document.ts';
import { reportKey, reportPrefix } from './layout.ts';
import type { Repository } from './repository.ts';

/** Files a report. Repeating it with the same report succeeds. */
export async function putReport(repository: Repository, report: Report, options: StoreOptions = {}): Promise<void> {
  await createIdentical(repository.store, reportKey(report.cluster, report.id), canonicalBytes(report), options);
}

/** Oldest first; with `newest`, only the last so many. */
export async function listReports(
  repository: Repository,
  cluster: string,
  { newest, ...options }: StoreOptions & { newest?: number } = {},
): Promise<Report[]> {
  const keys: string[] = [];
  for await (const { key } of repository.store.list(reportPrefix(cluster), options)) {
    keys.push(key);
    if (newest !== undefined && keys.length > newest) keys.shift();
  }
  return Promise.all(keys.map((key) => readDocument(repository.store, key, reportSchema, options)));
}
