import { createHash } from 'node:crypto';
import pg from 'pg';
import * as z from 'zod';
import type { ConnectionConfig } from '../../core/config.ts';
import { execute, query, type SqlClient, withClient } from '../../postgres/client.ts';
import type { DumpRecord } from '../../repository/record.ts';

const { escapeIdentifier, escapeLiteral } = pg;

type Options = { signal: AbortSignal };

/** Copying template0, or waiting for a checkpoint, takes no longer. */
const patience = { statementTimeoutSeconds: 600 };

/** @param owner null: who makes it. @param marker its comment. */
export type NewDatabase = { name: string; owner: string | null; marker: string | null };

/** Makes an empty database as the dump's was. Whoever is killed in between leaves one that bears its mark, too. */
export async function createDatabase(
  connection: ConnectionConfig,
  database: NewDatabase,
  like: DumpRecord['server'] | null,
  { signal }: Options,
): Promise<void> {
  const { name, marker } = database;
  await inServer(connection, signal, (client, major) => execute(client, createStatement(database, like, major)));
  if (marker === null) return;
  const unlimited = `ALTER DATABASE ${escapeIdentifier(name)} CONNECTION LIMIT -1`;
  await together(connection, [commentStatement(name, marker), unlimited], { signal });
}

/**
 * A marker as a number, which CREATE DATABASE can give where it can give no comment: a limit of connections, in the thousand millions,
 * that limits nobody.
 */
const limitOf = (marker: string): number =>
  2 ** 30 + (createHash('sha256').update(marker).digest().readUInt32BE() >>> 2);

export function createStatement(
  { name, owner, marker }: NewDatabase,
  like: DumpRecord['server'] | null,
  major: number,
): string {
  const parts = [`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE template0`];
  if (owner !== null) parts.push(`OWNER ${escapeIdentifier(owner)}`);
  if (marker !== null) parts.push(`CONNECTION LIMIT ${limitOf(marker)}`);
  if (like?.encoding) parts.push(`ENCODING ${escapeLiteral(like.encoding)}`);
  if (like?.collate && like.ctype) {
    const provider = like.provider ?? 'libc';
    if (major >= 15) parts.push(`LOCALE_PROVIDER ${provider}`);
    if (like.locale && provider !== 'libc')
      parts.push(`${provider.toUpperCase()}_LOCALE ${escapeLiteral(like.locale)}`);
    parts.push(`LC_COLLATE ${escapeLiteral(like.collate)}`, `LC_CTYPE ${escapeLiteral(like.ctype)}`);
  }
  return parts.join(' ');
}

export const commentStatement = (name: string, text: string | null): string =>
  `COMMENT ON DATABASE ${escapeIdentifier(name)} IS ${text === null ? 'NULL' : escapeLiteral(text)}`;

/** What a database may be marked by. */
export type Marks = { comment: string | null; connectionLimit: number };

/** Null: there is no such database. */
export async function marksOf(connection: ConnectionConfig, name: string, { signal }: Options): Promise<Marks | null> {
  const sql = `SELECT shobj_description(oid, 'pg_database') AS comment, datconnlimit AS "connectionLimit"
                 FROM pg_database WHERE datname = $1`;
  const row = z.object({ comment: z.string().nullable(), connectionLimit: z.number() });
  const [found] = await withClient(connection, (client) => query(client, sql, [name], row), { signal });
  return found ?? null;
}

/** Whether it was made under this marker and not finished. */
export const isMarked = (marks: Marks | null, marker: string): boolean =>
  marks !== null && (marks.comment === marker || marks.connectionLimit === limitOf(marker));

/** Its sessions are ended: only for what we made ourselves. */
export async function dropDatabase(connection: ConnectionConfig, name: string, { signal }: Options): Promise<void> {
  await inServer(connection, signal, (client) =>
    execute(client, `DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`),
  );
}

export const renameStatement = (from: string, to: string): string =>
  `ALTER DATABASE ${escapeIdentifier(from)} RENAME TO ${escapeIdentifier(to)}`;

/** Statements in one transaction. */
export async function together(
  connection: ConnectionConfig,
  statements: readonly string[],
  { signal }: Options,
): Promise<void> {
  await inServer(connection, signal, async (client) => {
    await execute(client, 'BEGIN');
    for (const statement of statements) await execute(client, statement);
    await execute(client, 'COMMIT');
  });
}

async function inServer<T>(
  connection: ConnectionConfig,
  signal: AbortSignal,
  use: (client: SqlClient, major: number) => Promise<T>,
): Promise<T> {
  const row = z.object({ number: z.coerce.number() });
  const sql = `SELECT current_setting('server_version_num') AS number`;
  return withClient(
    connection,
    async (client) => {
      const [version] = await query(client, sql, [], row);
      return use(client, Math.floor((version?.number ?? 0) / 10_000));
    },
    { ...patience, signal },
  );
}
