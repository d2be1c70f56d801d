import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { v5 } from 'uuid';
import type { PgproofError } from '../../core/errors.ts';
import type { Report } from '../../core/report.ts';
import type { ReportSink } from '../../postgres/cluster.ts';
import { type Cluster, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';

/** Of the role that writes the table; nothing that anybody reads may contain it. */
export const password = 'Vq7-sink-secret';

/** A server whose database `platform` has the role `platform`, which needs a password. */
export async function startPlatform(major: string): Promise<Cluster> {
  const server = await startCluster({ major });
  const hba = join(server.dataDir, 'pg_hba.conf');
  writeFileSync(hba, `local platform platform scram-sha-256\n${readFileSync(hba, 'utf8')}`);
  await server.sql(`CREATE ROLE platform LOGIN PASSWORD '${password}'`);
  await server.sql('CREATE DATABASE platform OWNER platform');
  await server.sql('SELECT pg_reload_conf()');
  return server;
}

export type TestSink = ReportSink & { unqueued: PgproofError[] };

/** A sink into a table of its own, with an outbox of its own. */
export function sinkTo(server: Pick<Cluster, 'socketDir' | 'port'>, more: Partial<ReportSink> = {}): TestSink {
  const folder = tempDir('outbox');
  const file = join(folder, 'password');
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  const { socketDir: socket, port } = server;
  const unqueued: PgproofError[] = [];
  return {
    connection: { socket, port, user: 'platform', database: 'platform', password: { file } },
    table: 'db_backup_job',
    outbox: join(folder, 'outbox'),
    onUnqueued: (error) => void unqueued.push(error),
    unqueued,
    ...more,
  };
}

/** @param at when the attempt was numbered, `20261120T140501Z`. @param run of which run it is; default: one of its own. */
export function reportOf({ at, run = at, ...more }: { at: string; run?: string } & Partial<Report>): Report {
  const operation = more.operation ?? 'backup';
  const kind = operation === 'walSync' ? 'wal-sync' : operation;
  const iso = at.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  return {
    formatVersion: 1,
    id: `${at}-${kind}-${v5(at, v5.DNS).slice(0, 8)}`,
    uuid: v5(run, v5.DNS),
    operation,
    cluster: 'shop',
    host: 'db-7',
    port: 5432,
    database: null,
    startedAt: iso,
    finishedAt: iso,
    durationSeconds: 311.6,
    mode: 'full',
    tool: 'pg_basebackup',
    status: 'SUCCESS',
    errorMessage: null,
    local: { file: null, globalsFile: null, checksumSha256: null, sizeBytes: 123_456_789 },
    remote: { urls: [`/r/shop/${at}.json`] },
    workflowId: `shop-${run}`,
    runId: run,
    requestedBy: null,
    reason: null,
    result: {},
    ...more,
  };
}
