import type { Run } from '../core/run.ts';
import { type Copies, copiesToBe } from '../parts/copies.ts';
import { withClient } from '../postgres/client.ts';
import { type Clients, findClients } from '../postgres/clients.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { inspectSession, type ServerFacts } from '../postgres/server.ts';
import { assertOwner } from '../repository/owner.ts';
import type { Compression } from './argv.ts';
import { decideCompression } from './compression.ts';
import { type DatabaseFacts, findDatabase, listDatabases, refuseUnknownEncoding } from './databases.ts';
import { refuseUnreadableLargeObjects } from './large-objects.ts';
import { countUnlogged, readsRolePasswords, refuseUnreadable } from './rights.ts';
import type { DumpTarget } from './target.ts';

/** What a dump of this target needs to know, all of it found fit; `copies`: where it may go. */
export type DumpFit = {
  server: ServerFacts;
  clients: Clients;
  copies: Copies;
  compression: Compression;
  /** Null for globals and for the whole server. */
  database: DatabaseFacts | null;
  rolePasswords: boolean;
  notes: string[];
};

/** What the server is, what can dump it, and where dumps may go. */
export type Ground = Pick<DumpFit, 'server' | 'clients' | 'copies' | 'rolePasswords'> & { databases: DatabaseFacts[] };

/**
 * Refuses what would fail later, whatever is dumped.
 * @throws {PgproofError} `owner-other`, `tool-missing`, `tool-outdated`, why a required repository cannot be used; what `withClient` throws.
 */
export async function inspectGround(
  cluster: ProtectedCluster,
  encodings: readonly (string | null)[],
  run: Run,
): Promise<Ground> {
  run.progress({ phase: 'preflight' });
  const copies = copiesToBe(cluster);
  const { connection, tools } = cluster.config;
  const found = await withClient(
    connection,
    async (client) => {
      for (const encoding of new Set(encodings)) await refuseUnknownEncoding(client, encoding);
      const databases = await listDatabases(client);
      return { server: await inspectSession(client), databases, rolePasswords: await readsRolePasswords(client) };
    },
    { signal: run.signal },
  );
  const clients = await findClients(tools, found.server.major);
  await copies.each(run.signal, (repository, signal) => assertOwner(repository, cluster, { signal }));
  return { ...found, clients, copies };
}

/**
 * Refuses what would fail later, or worse, before pg_dump is started.
 * @throws {PgproofError} as `inspectGround`; `database-missing`, `dump-refused`, `rights-missing`.
 */
export async function preflight(cluster: ProtectedCluster, target: DumpTarget, run: Run): Promise<DumpFit> {
  const ground = await inspectGround(cluster, [target.options.encoding], run);
  const { server, clients, databases, rolePasswords } = ground;
  const database = target.database === null ? null : findDatabase(databases, target.database);
  const { format, compression: wanted, globals } = target.options;
  const { compression, notes } = await decideCompression(clients, format, wanted, run.signal);
  const unlogged = database === null ? 0 : await look(cluster, target, server, run);
  const withRoles = target.kind !== 'database' || globals;
  return {
    ...ground,
    compression,
    database,
    notes: [
      ...notes,
      ...(server.inRecovery ? [`taken from the standby on ${cluster.host}`] : []),
      ...(unlogged > 0 ? [`the rows of ${unlogged} unlogged tables are not in it: a standby has none of them`] : []),
      ...(withRoles && !rolePasswords ? ["passwords of roles are not in it: they are a superuser's to read"] : []),
    ],
  };
}

/** @returns how many tables have no rows here that have some on the primary. */
function look(
  cluster: ProtectedCluster,
  target: DumpTarget,
  { major, inRecovery }: ServerFacts,
  run: Run,
): Promise<number> {
  const { connection } = cluster.config;
  return withClient(
    connection,
    async (client) => {
      await refuseUnreadable(client, target, { user: connection.user, major });
      await refuseUnreadableLargeObjects(client, target, { user: connection.user, major });
      return inRecovery && target.options.content !== 'schema' ? countUnlogged(client) : 0;
    },
    { database: target.database as string, signal: run.signal },
  );
}
