import type { Report } from '../core/report.ts';

/** Stands in the column `database` for what is about a whole cluster: a report has null there, the table may not. */
const wholeCluster = '*';

/** The values of a report, by their columns. `create_time`, `update_time` and `deleted` are the table's own. */
export function rowOf(report: Report) {
  const told = storable(report);
  const { local, remote } = told;
  return {
    id: told.uuid,
    started_at: told.startedAt,
    finished_at: told.finishedAt,
    duration_sec: Math.round(told.durationSeconds),
    database: told.database ?? wholeCluster,
    mode: told.mode,
    status: told.status,
    size_bytes: local.sizeBytes === null ? null : Math.round(local.sizeBytes),
    local_file: local.file,
    remote_urls: JSON.stringify(remote.urls),
    checksum: local.checksumSha256,
    error_msg: told.errorMessage,
    cluster: told.cluster,
    operation: told.operation,
    host: told.host,
    report_id: told.id,
    report: JSON.stringify(told),
  };
}

/** PostgreSQL holds neither NUL nor half a surrogate pair, in text and in jsonb; an error message may quote both. */
function storable<T>(value: T): T {
  if (typeof value === 'string') return value.replaceAll('\0', '\uFFFD').toWellFormed() as T;
  if (Array.isArray(value)) return value.map((item) => storable(item)) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [storable(key), storable(inner)])) as T;
}
