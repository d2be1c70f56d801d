import type { Report } from '../../core/report.ts';
import { reportsDown } from '../../repository/report-entries.ts';
import type { Repository } from '../../repository/repository.ts';

/** All reports of a cluster in one repository, oldest first. @throws for one that cannot be read */
export async function listReports(repository: Repository, cluster: string): Promise<Report[]> {
  const away = new Map();
  const reports: Report[] = [];
  const options = { signal: new AbortController().signal, away };
  for await (const entry of reportsDown([{ cluster, repositories: [repository] }], {}, options)) {
    if (entry.state === 'damaged') throw entry.error;
    reports.unshift(entry.report);
  }
  for (const error of away.values()) throw error;
  return reports;
}
