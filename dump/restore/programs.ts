import type { ClusterConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import { type Clients, findClients } from '../../postgres/clients.ts';
import type { DumpSource } from './source.ts';

/** What changed in an archive's own format: 16 wrote another one than 15, 17 than 16. */
const archiveFormat = (major: number): number => (major <= 15 ? 15 : Math.min(major, 17));

/** The first whose pg_restore begins by a setting that older servers do not know. */
const setsTransactionTimeout = 17;

/** Of `18.6 (Debian 18.6-3)`; null where that says nothing. */
export const majorOf = (version: string | null): number | null => Number(/^\d+/.exec(version ?? '')?.[0] ?? 0) || null;

/**
 * The programs that can restore this dump into a server of this major: of the server's own major where they can read the dump,
 * otherwise newer ones.
 * @throws {PgproofError} `tool-missing`, `tool-outdated`; `dump-unfit` where what can read it does not speak to so old a server.
 */
export async function findRestorers(
  tools: ClusterConfig['tools'],
  source: Pick<DumpSource, 'what' | 'format' | 'toolVersion'>,
  serverMajor: number,
): Promise<Clients> {
  if (source.format === 'plain') return findClients(tools, serverMajor);
  const format = archiveFormat(majorOf(source.toolVersion) ?? serverMajor);
  const clients = await findClients(tools, Math.max(serverMajor, format === 15 ? 0 : format), 'the dump');
  if (serverMajor >= setsTransactionTimeout || clients.major < setsTransactionTimeout) return clients;
  throw new PgproofError(
    'dump-unfit',
    `pg_restore ${clients.major} sets transaction_timeout, which PostgreSQL ${serverMajor} does not know`,
    {
      facts: { dump: source.what, dumpedBy: source.toolVersion, toolMajor: clients.major, serverMajor },
      hint:
        format >= setsTransactionTimeout
          ? `Restore it into PostgreSQL ${format} or newer, or dump the database with --format plain, from which that setting is left out.`
          : `Install the package postgresql-client-${serverMajor}, and let tools.bin find it (auto).`,
    },
  );
}

/** Minor versions since which psql can be told to take no commands of its own from a script. */
const restrictSince: Record<number, number> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };

export function knowsRestrict({ major, version }: Pick<Clients, 'major' | 'version'>): boolean {
  const minor = Number(/^\d+\.(\d+)/.exec(version)?.[1] ?? 0);
  return minor >= (restrictSince[major] ?? 0);
}
