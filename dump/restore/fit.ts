import { PgproofError } from '../../core/errors.ts';
import { databaseRefusals, localeRefusals } from './fit-database.ts';
import { fitNotes } from './fit-notes.ts';
import type { FitQuestion } from './fit-question.ts';
import { missing, quoted, unfit, usage } from './fit-words.ts';

export type Fit = {
  /** What would fail; empty: nothing that can be known. */
  refusals: PgproofError[];
  /** What a person should know; sentences. */
  notes: string[];
  /** The server lacks tablespaces of the dump: its objects go to the database's own. */
  noTablespaces: boolean;
};

/** Decides what can be known to fail before anything is written. */
export function judgeFit(question: FitQuestion): Fit {
  const { server, needs } = question;
  const lacking = missing(needs.tablespaces, server.tablespaces);
  const noTablespaces = lacking.length > 0 && question.source.format !== 'plain';
  return {
    refusals: [
      ...kindRefusals(question),
      ...optionRefusals(question),
      ...databaseRefusals(question),
      ...schemaRefusals(question),
      ...localeRefusals(question),
      ...roleRefusals(question),
      ...extensionRefusals(question),
      ...(noTablespaces ? [] : tablespaceRefusals(question, lacking)),
      ...scriptRefusals(question),
    ],
    notes: [
      ...fitNotes(question),
      ...(noTablespaces ? [`The server has no tablespace ${quoted(lacking)}: all goes to the database's own.`] : []),
    ],
    noTablespaces,
  };
}

/** Throws the first, which names the others. */
export function refuseUnfit({ refusals }: Fit): void {
  const [first] = refusals;
  if (first === undefined) return;
  const reasons = refusals.map(({ message }) => message);
  throw first.retold({
    message: reasons.join('; '),
    facts: { reasons },
    hint: [...new Set(refusals.map(({ hint }) => hint))].filter((one) => one !== null).join(' '),
  });
}

function kindRefusals({ source: { what, kind } }: FitQuestion): PgproofError[] {
  if (kind === 'database') return [];
  const of = kind === 'globals' ? 'the globals of a server' : 'a whole server';
  return [
    unfit(
      `${what} is a dump of ${of}, and not of one database`,
      { dump: what, kind },
      'Leave --database away: it goes into a server, that of --server.',
    ),
  ];
}

function optionRefusals({ source: { format, content, globals }, mode, options }: FitQuestion): PgproofError[] {
  const ofArchives = [
    ...(options.tables.length > 0 ? ['--table'] : []),
    ...(options.schemas.length > 0 ? ['--schema'] : []),
    ...(options.select === null ? [] : ['--select']),
    ...(options.owner === 'dump' ? [] : ['--owner and --no-owner']),
    ...(options.privileges ? [] : ['--no-privileges']),
    ...(options.content === 'all' ? [] : ['--schema-only and --data-only']),
    ...(mode === 'clean' ? ['--clean'] : []),
  ];
  const wrong: PgproofError[] = [];
  if (format === 'plain' && ofArchives.length > 0)
    wrong.push(
      usage(
        `a plain dump is run as it is, without ${ofArchives.join(', ')}`,
        'Restore all of it into a new database, and take from there what is wanted.',
      ),
    );
  if (content !== 'all' && options.content !== 'all' && content !== options.content)
    wrong.push(usage(`the dump has the ${content} only, not the ${options.content}`, 'Choose another dump.'));
  if (options.globals !== 'none' && !globals)
    wrong.push(usage('the dump has no globals', 'Leave --globals away, or choose another dump.'));
  return wrong;
}

/** What is selected without its schema fails at its first statement: pg_restore brings what is in a schema, not the schema. */
function schemaRefusals({ server, options, needs }: FitQuestion): PgproofError[] {
  if (options.tables.length + options.schemas.length === 0) return [];
  const used = [...options.schemas, ...needs.tables.flatMap(({ schema }) => schema ?? [])];
  const lacking = missing(used, [...(server.database?.schemas ?? ['public']), ...needs.schemas]);
  if (lacking.length === 0) return [];
  return [
    unfit(
      `the database has no schema ${quoted(lacking)}, and neither --table nor --schema brings one`,
      { schemas: lacking },
      'Select it together with what is in it: --list shows both, and --select brings what a list names.',
    ),
  ];
}

function roleRefusals({ source, server, needs, options, madeRoles }: FitQuestion): PgproofError[] {
  const wanted = [...needs.roles, ...(typeof options.owner === 'object' ? [options.owner.role] : [])];
  const lacking = missing(wanted, [...server.roles, ...madeRoles]);
  const wrong: PgproofError[] = [];
  if (lacking.length > 0)
    wrong.push(
      unfit(
        `the server has no role ${quoted(lacking)}, which the dump names as owner or grants something to`,
        { roles: lacking },
        `Make them${source.globals ? ' (--globals takes them from the dump)' : ''}${source.format === 'plain' ? '.' : ', or restore with --no-owner --no-privileges.'}`,
      ),
    );
  const others = missing(wanted, [...server.memberOf, ...lacking]);
  if (!server.superuser && options.owner === 'dump' && others.length > 0)
    wrong.push(
      new PgproofError('rights-missing', `role '${server.user}' may not make ${quoted(others)} own anything`, {
        facts: { user: server.user, roles: others },
        hint: 'Connect as a superuser with --user, or restore with --no-owner.',
      }),
    );
  return wrong;
}

function extensionRefusals({ server, needs }: FitQuestion): PgproofError[] {
  const lacking = missing(needs.extensions, server.extensions);
  if (lacking.length === 0) return [];
  return [
    unfit(
      `the server lacks the extension ${quoted(lacking)}`,
      { extensions: lacking },
      `Install the packages that bring them for PostgreSQL ${server.major} on its machine.`,
    ),
  ];
}

function tablespaceRefusals(_: FitQuestion, lacking: readonly string[]): PgproofError[] {
  if (lacking.length === 0) return [];
  return [
    unfit(
      `the server has no tablespace ${quoted(lacking)}, which the SQL of the dump names`,
      { tablespaces: [...lacking] },
      'Make it; its folder is of the machine, so that nothing makes it by itself.',
    ),
  ];
}

function scriptRefusals({ source, needs, knowsRestrict }: FitQuestion): PgproofError[] {
  if (source.format !== 'plain' || source.trusted) return [];
  const wrong: PgproofError[] = [];
  if (!knowsRestrict)
    wrong.push(
      unfit(
        'this psql cannot be kept from running commands that stand in a script',
        { dump: source.what },
        'Nobody signed this file. Install the newest minor version of the client programs: 13.22, 14.19, 15.14, 16.10, 17.6 and newer can.',
      ),
    );
  const [command] = needs.commands;
  if (command !== undefined)
    wrong.push(
      unfit(
        `a command of psql stands in the SQL: ${command}`,
        { dump: source.what },
        'It would be refused in the midst. Take it out of the file, if the file is known to be good.',
      ),
    );
  return wrong;
}
