import { PgproofError } from '../../core/errors.ts';
import type { FitQuestion } from './fit-question.ts';
import { quoted, unfit } from './fit-words.ts';
import type { DumpNeeds, TableName } from './needs.ts';

/** What the name, the mode and what is there already have against it. */
export function databaseRefusals({ server, database, mode, options, needs }: FitQuestion): PgproofError[] {
  const facts = { database };
  if (server.inRecovery)
    return [
      new PgproofError('server-in-recovery', 'the server is a standby, and takes no changes', {
        facts,
        hint: 'Restore into its primary.',
      }),
    ];
  const makes = mode === 'new';
  if (makes && server.database !== null)
    return [
      new PgproofError('database-exists', `the database '${database}' exists`, {
        facts,
        hint: 'Choose another name for --database, or say what shall happen to it: --existing, with --clean or --create where it is not empty.',
      }),
    ];
  if (makes && !server.createdb)
    return [
      new PgproofError('rights-missing', `role '${server.user}' may not make databases`, {
        facts: { ...facts, user: server.user },
        hint: 'Connect as a superuser with --user, or make the database by hand and use --existing.',
      }),
    ];
  if (!makes && server.database === null)
    return [
      new PgproofError('database-missing', `there is no database '${database}'`, {
        facts,
        hint: 'Without --existing it is made.',
      }),
    ];
  const holds = server.database?.holds ?? null;
  if (mode === 'existing' && holds !== null)
    return [
      new PgproofError('database-not-empty', `the database '${database}' is not empty: ${holds}`, {
        facts,
        hint: 'Say what shall happen to it: --clean drops what the dump has, --create puts a new one in its place.',
      }),
    ];
  return mode === 'add' && options.content !== 'data' ? tableRefusals(needs.tables, server.database?.tables ?? []) : [];
}

function tableRefusals(made: DumpNeeds['tables'], there: readonly TableName[]): PgproofError[] {
  const known = new Set(there.map(({ schema, name }) => JSON.stringify([schema, name])));
  const twice = made.filter(({ schema, name }) => known.has(JSON.stringify([schema, name])));
  if (twice.length === 0) return [];
  const names = twice.slice(0, 20).map(({ schema, name }) => `${schema}.${name}`);
  return [
    new PgproofError('database-not-empty', `the table ${quoted(names)} is there already`, {
      facts: { tables: names },
      hint: 'Say what shall happen to it: --clean drops it first, --data-only adds rows to it. Or restore into a new database.',
    }),
  ];
}

/** What keeps the database from being made as the dump's was. */
export function localeRefusals({ source, server, mode, refusedLocale }: FitQuestion): PgproofError[] {
  if (mode !== 'new' || source.server === null) return [];
  const { encoding, provider, locale } = source.server;
  const byHand = 'Make the database by hand as it shall be, and restore with --existing.';
  const since = provider === 'builtin' ? 17 : provider === 'icu' ? 15 : 0;
  const wrong: PgproofError[] = [];
  if (encoding !== null && !server.encodings.includes(encoding))
    wrong.push(unfit(`the server knows no encoding '${encoding}'`, { encoding }, byHand));
  if (server.major < since)
    wrong.push(
      unfit(
        `PostgreSQL ${server.major} has no databases with the collation provider ${provider} (locale '${locale}')`,
        { provider: provider ?? null, locale: locale ?? null },
        byHand,
      ),
    );
  if (refusedLocale !== null)
    wrong.push(
      unfit(
        `the server does not know the locale of the database: ${refusedLocale}`,
        { collate: source.server.collate, ctype: source.server.ctype },
        `Install it on the server's machine. ${byHand}`,
      ),
    );
  return wrong;
}
