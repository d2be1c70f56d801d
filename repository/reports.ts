import { hasCode } from '../core/errors.ts';
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

/**
 * The newest report of an operation that fits, from the month of `until` down to `since`. Months are listed one by one, so that
 * years of reports cost nothing. One that cannot be read is none.
 */
export async function newestReport(
  repository: Repository,
  cluster: string,
  operation: string,
  { since, until, ...options }: StoreOptions & { since: string; until: Date },
  fits: (report: Report) => boolean,
): Promise<Report | null> {
  for (const month of monthsBack(until, new Date(since))) {
    const keys: string[] = [];
    const isWanted = new RegExp(`/\\d{8}T\\d{6}Z-${operation}-[0-9a-f]{8}\\.json$`);
    for await (const { key } of repository.store.list(`${reportPrefix(cluster)}${month}/`, options))
      if (isWanted.test(key)) keys.push(key);
    for (const key of keys.reverse()) {
      const report = await readDocument(repository.store, key, reportSchema, options).catch(unlessUnreadable);
      if (report !== undefined && report.finishedAt >= since && fits(report)) return report;
    }
  }
  return null;
}

/** `2026/11`, `2026/10`, …; the newest first. */
function monthsBack(newest: Date, oldest: Date): string[] {
  const numberOf = (at: Date): number => at.getUTCFullYear() * 12 + at.getUTCMonth();
  const count = Math.max(0, numberOf(newest) - numberOf(oldest)) + 1;
  return Array.from({ length: count }, (_, back) => {
    const month = numberOf(newest) - back;
    return `${Math.floor(month / 12)}/${String((month % 12) + 1).padStart(2, '0')}`;
  });
}

function unlessUnreadable(error: unknown): undefined {
  if (hasCode(error, 'object-missing', 'record-invalid', 'object-damaged')) return undefined;
  throw error;
}
