import { join } from 'node:path';
import type { PgproofError } from '../core/errors.ts';
import type { ReportSink } from '../postgres/cluster.ts';
import type { Host } from './host.ts';

/** Where this host's reports go beside the repositories; null where the config names no sink. */
export function sinkOf({ config, stateDir, log }: Host): ReportSink | null {
  if (config.reportSink === undefined) return null;
  const onUnqueued = (error: PgproofError): void =>
    log.error({ ...error.toDocument() }, `a report will not reach the report sink by itself: ${error.message}`);
  return { ...config.reportSink, outbox: join(stateDir, 'outbox'), onUnqueued };
}
