import * as z from 'zod';
import type { AgeLimits } from '../core/objectives.ts';
import { drillResult } from '../core/report.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import { query, withClient } from '../postgres/client.ts';
import { type FoundCluster, inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { inspectServer } from '../postgres/server.ts';
import { newestReport } from '../repository/reports.ts';
import type { Repository } from '../repository/repository.ts';
import { secondsBehind, type Written, writtenBy } from '../wal/behind.ts';
import { type Head, readHead } from '../wal/head.ts';
import { readHeartbeats } from '../wal/heartbeat-notes.ts';
import { newestDumps } from './dumps.ts';
import type { Dated, Seen } from './judge.ts';

type Options = { signal: AbortSignal };

/**
 * What a repository has of the current era.
 * @param written where the server's WAL ends; null where this host cannot tell.
 * @param options.limits what is looked for.
 */
export async function lookAt(
  cluster: FoundCluster,
  repository: Repository,
  written: Written | null,
  { signal, limits, now }: Options & { limits: AgeLimits; now: Date },
): Promise<Seen> {
  const here = inRepository(cluster, repository);
  const { era, backup, frontier } = await readHead(here, { signal });
  return {
    repository: repository.name,
    written: writtenNames(cluster.config).includes(repository.name),
    required: isRequired(cluster.config, repository.name),
    since: era.declaredAt,
    backup: backup === null ? null : { id: backup.id, at: backup.stoppedAt },
    dumps: await newestDumps(here, limits.dumps, { signal }),
    proof: limits.proof !== null ? await newestProof(here, era, now, { signal }) : null,
    behindSeconds: written === null ? null : await secondsBehind(cluster, frontier, written, written.at),
  };
}

/**
 * Where the server's WAL ends. One that does not answer writes none that anybody knows of: then the newest heartbeat counts, so
 * that a server that is stopped is no alarm. Null on the host of a standby: the primary's host tells.
 */
export async function writtenUntilNow(cluster: FoundCluster, { signal }: Options): Promise<Written | null> {
  try {
    const server = await inspectServer(cluster.config.connection, { signal, ...patience });
    return server.inRecovery ? null : writtenBy(server).all;
  } catch (error) {
    if (signal.aborted) throw error;
    return (await readHeartbeats(cluster.paths.state)).at(-1) ?? null;
  }
}

/** The databases that a dump of all takes; none while the server does not say. */
export async function databasesThere(cluster: FoundCluster, { signal }: Options): Promise<string[]> {
  const wanted =
    'SELECT datname AS name FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND NOT datistemplate';
  try {
    const rows = await withClient(
      cluster.config.connection,
      (client) => query(client, wanted, [], z.object({ name: z.string() })),
      { signal, ...patience },
    );
    return rows.map(({ name }) => name);
  } catch (error) {
    if (signal.aborted) throw error;
    return [];
  }
}

const patience = { connectTimeoutSeconds: 5, statementTimeoutSeconds: 5, applicationName: 'pgproof watch' };

/** Only of this era, and of backups: a dump that was restored proves no WAL, and what was proven of the cluster before it proves nothing of what it is now. */
async function newestProof(
  { repository, name }: ProtectedCluster,
  { declaredAt }: Head['era'],
  now: Date,
  options: Options,
): Promise<Dated | null> {
  const found = await newestReport(
    repository,
    name,
    'drill',
    { since: declaredAt, until: now, ...options },
    (report) => {
      const parsed = drillResult.safeParse(report.result);
      return report.status === 'SUCCESS' && parsed.data?.verdict === 'passed' && parsed.data.kind !== 'dump';
    },
  );
  return found === null ? null : { id: found.id, at: found.finishedAt };
}
