import * as z from 'zod';
import type { Config } from '../../core/config.ts';
import { asPgproofError, PgproofError } from '../../core/errors.ts';
import { queryOne, withClient } from '../../postgres/client.ts';

/**
 * Makes sure that no server of this host archives through pgproof any more: with nobody to ship it, the spool would fill, and
 * then `pg_wal`. A server that cannot be asked counts as one that does.
 * @throws {PgproofError} `service-in-use`, with the statements that end it.
 */
export async function refuseWhileArchiving(config: Config, host: string, signal: AbortSignal): Promise<void> {
  for (const [name, cluster] of Object.entries(config.clusters)) {
    if (!cluster.host.includes(host)) continue;
    const command = await archiveCommandOf(cluster.connection, signal).catch((error: unknown) => {
      throw unknownStill(name, error);
    });
    if (command.includes('archive-wal')) throw stillArchiving(name, command);
  }
}

async function archiveCommandOf(
  connection: Config['clusters'][string]['connection'],
  signal: AbortSignal,
): Promise<string> {
  const row = z.object({ command: z.string() });
  const ask = `SELECT setting AS command FROM pg_settings WHERE name = 'archive_command'`;
  return (await withClient(connection, (client) => queryOne(client, ask, [], row), { signal })).command;
}

function stillArchiving(cluster: string, command: string): PgproofError {
  return new PgproofError('service-in-use', `the server of '${cluster}' still archives through pgproof: ${command}`, {
    facts: { cluster, command },
    hint: [
      'Nothing was touched. To stop archiving, as a superuser:',
      '  ALTER SYSTEM RESET archive_command;',
      '  ALTER SYSTEM RESET archive_mode;  -- from the next restart; until then WAL is kept in pg_wal',
      '  SELECT pg_reload_conf();',
      `Then: pgproof wal status ${cluster}, until the spool is empty, and this again.`,
    ].join('\n'),
  });
}

function unknownStill(cluster: string, thrown: unknown): PgproofError {
  const { message } = asPgproofError(thrown);
  return new PgproofError(
    'service-in-use',
    `whether the server of '${cluster}' still archives through pgproof cannot be said: ${message}`,
    {
      facts: { cluster },
      hint: `Nothing was touched. Start the server, or take '${cluster}' out of the configuration when it is gone for good.`,
      cause: thrown,
    },
  );
}
