import type { FitQuestion } from './fit-question.ts';

/** What fits, and yet a person should know; sentences. */
export function fitNotes(question: FitQuestion): string[] {
  return [...versionNotes(question), ...databaseNotes(question), ...selectionNotes(question), ...scriptNotes(question)];
}

function versionNotes({ source, server }: FitQuestion): string[] {
  const from = source.server?.major ?? null;
  if (from === null || from === server.major) return [];
  if (from < server.major) return [`It was taken from PostgreSQL ${from}, and goes into ${server.major}.`];
  return [
    `It was taken from PostgreSQL ${from}, and goes into ${server.major}, which is older: what only the newer one knows fails, and then the restore does.`,
  ];
}

function databaseNotes({ source, server, database, mode, options }: FitQuestion): string[] {
  const found = server.database;
  if (found === null) return [];
  const notes: string[] = [];
  const { encoding = null, collate = null, ctype = null } = source.server ?? {};
  if (encoding !== null && encoding !== found.encoding)
    notes.push(
      `The dump's database has the encoding ${encoding}, '${database}' has ${found.encoding}: what that cannot hold fails.`,
    );
  if ((collate !== null && collate !== found.collate) || (ctype !== null && ctype !== found.ctype))
    notes.push(
      `The dump's database sorts by ${collate} (${ctype}), '${database}' by ${found.collate} (${found.ctype}).`,
    );
  if (mode === 'clean')
    notes.push(
      `Of '${database}' everything is dropped that the dump has, and made anew: ${found.holds ?? 'it is empty'}.`,
    );
  if (mode === 'add')
    notes.push(`What the dump has comes to what '${database}' holds: ${found.holds ?? 'it is empty'}.`);
  if (found.sessions > 0) notes.push(`${found.sessions} other sessions are connected to '${database}'.`);
  if (mode !== 'clean' && options.content === 'data')
    notes.push('Rows only: foreign keys and triggers are in force while they come.');
  return notes;
}

/** What pg_restore --table is known to leave out, and people find out too late. */
function selectionNotes({ options: { tables } }: FitQuestion): string[] {
  if (tables.length === 0) return [];
  return [
    'Of a single table come its definition and its rows, not its indexes, constraints, triggers, and what numbers its rows by itself (identity, serial): --list shows them, and --select brings what a list names.',
  ];
}

function scriptNotes({ source, server }: FitQuestion): string[] {
  if (source.trusted) return [];
  const by = source.format === 'plain' ? ', which psql runs in its restricted mode' : '';
  return [
    `Nobody signed this dump${by}: what its SQL does on the server, nobody can know. It has the rights of role '${server.user}'.`,
  ];
}
