import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { query, queryOne, type SqlClient } from '../postgres/client.ts';

/** What the server says of one database. */
export type DatabaseFacts = {
  name: string;
  encoding: string | null;
  collate: string | null;
  ctype: string | null;
  /** Of its collation; 13 and 14 know one only. `locale` is ICU's or the builtin one's. */
  provider: 'libc' | 'icu' | 'builtin' | null;
  locale: string | null;
  owner: string | null;
  isTemplate: boolean;
  /** Whether it takes connections: it may be closed to them, or what is left of a DROP DATABASE that broke off. */
  isOpen: boolean;
};

const databaseRow = z.object({
  name: z.string(),
  encoding: z.string().nullable(),
  collate: z.string().nullable(),
  ctype: z.string().nullable(),
  provider: z.enum(['libc', 'icu', 'builtin']).nullable(),
  locale: z.string().nullable(),
  owner: z.string().nullable(),
  isTemplate: z.boolean(),
  isOpen: z.boolean(),
});

export async function listDatabases(client: SqlClient): Promise<DatabaseFacts[]> {
  return query(
    client,
    `SELECT datname AS name, pg_encoding_to_char(encoding)::text AS encoding, datcollate::text AS collate, datctype::text AS ctype,
            CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin'
            END AS provider, coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale,
            pg_get_userbyid(datdba)::text AS owner, datistemplate AS "isTemplate",
            datallowconn AND datconnlimit <> -2 AS "isOpen"
       FROM pg_database AS d ORDER BY datname`,
    [],
    databaseRow,
  );
}

/** @throws {PgproofError} `database-missing`, `dump-refused` */
export function findDatabase(all: readonly DatabaseFacts[], name: string): DatabaseFacts {
  const found = all.find((one) => one.name === name);
  if (found === undefined) {
    const known = all.filter(({ isTemplate }) => !isTemplate).map((one) => one.name);
    throw new PgproofError('database-missing', `the server has no database '${name}'`, {
      facts: { database: name, known: known.slice(0, 20) },
      hint: `It has ${known.slice(0, 20).join(', ')}${known.length > 20 ? ', …' : ''}. Names are taken as they are, capitals too.`,
    });
  }
  if (found.isOpen) return found;
  throw new PgproofError('dump-refused', `the database '${name}' takes no connections`, {
    facts: { database: name },
    hint: 'It is closed to them (ALTER DATABASE … ALLOW_CONNECTIONS), or what is left of a DROP DATABASE that broke off.',
  });
}

/** @throws {PgproofError} `dump-refused` */
export async function refuseUnknownEncoding(client: SqlClient, encoding: string | null): Promise<void> {
  if (encoding === null) return;
  const row = z.object({ known: z.boolean() });
  const { known } = await queryOne(client, 'SELECT pg_char_to_encoding($1::name) >= 0 AS known', [encoding], row);
  if (known) return;
  throw new PgproofError('dump-refused', `the server knows no encoding '${encoding}'`, {
    facts: { encoding },
    hint: 'Such as UTF8, LATIN1, WIN1252. Without the option, the dump has the encoding of its database.',
  });
}
