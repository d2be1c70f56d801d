import { PgproofError } from '../../../core/errors.ts';
import { missing, quoted, unfit, usage } from '../fit-words.ts';
import { tablespaceNames } from '../globals-plan.ts';
import { majorOf } from '../programs.ts';
import type { TargetServer } from '../server.ts';
import type { DumpSource } from '../source.ts';

/** Databases that every server has. */
const ownDatabases = ['template0', 'template1', 'postgres'];

/** What a server has of databases: their names, and what is in those that it always has; null: nothing. */
export type Occupied = { databases: readonly string[]; holds: Readonly<Record<string, string | null>> };

export type WholeQuestion = {
  source: Pick<DumpSource, 'what' | 'kind' | 'content' | 'server' | 'toolVersion' | 'trusted'>;
  /** Null: its globals alone are restored, for which it does not matter. */
  occupied: Occupied | null;
  server: Pick<TargetServer, 'major' | 'tablespaces' | 'inRecovery'>;
};

/**
 * Refuses a dump that no server is made from, before any is asked.
 * @throws {PgproofError} `usage` for a dump of one database; `dump-unfit`.
 */
export function refuseWrongDump({ what, kind, content }: WholeQuestion['source']): void {
  if (kind === 'database')
    throw usage(
      'say which database to restore into: --database NAME',
      'A new name is the safe choice: the restored database can be looked at before anything uses it.',
    );
  if (kind === 'globals') return;
  if (content === 'data')
    throw unfit(
      `${what} has rows only, and an empty server has no tables for them`,
      { dump: what, content },
      'Restore another dump.',
    );
}

/**
 * Refuses what can be known to go wrong on this server before anything is written.
 * @throws {PgproofError} `dump-unfit`, `database-not-empty`.
 */
export function refuseUnfitWhole({ source, occupied, server }: WholeQuestion): void {
  if (server.inRecovery) throw unfit('the server is a standby, which takes no changes', {}, 'Name its primary.');
  if (source.kind === 'globals') return;
  refuseOlder(source, server.major);
  if (occupied !== null) refuseOccupied(occupied);
}

/** What nobody signed is run where psql takes no commands from it, and not elsewhere. */
export function refuseUnrestricted({ what, trusted }: WholeQuestion['source'], knowsRestrict: boolean): void {
  if (trusted || knowsRestrict) return;
  throw unfit(
    'this psql cannot be kept from running commands that stand in a script',
    { dump: what },
    'Nobody signed this file. Install the newest minor version of the client programs: 13.22, 14.19, 15.14, 16.10, 17.6 and newer can.',
  );
}

/** Tablespaces are of the machine: nothing makes them by itself, and what lies in them fails without. */
export function refuseWithoutTablespaces(globals: readonly string[], { tablespaces }: WholeQuestion['server']): void {
  const lacking = missing(tablespaceNames(globals), tablespaces);
  if (lacking.length === 0) return;
  throw unfit(
    `the server has no tablespace ${quoted(lacking)}, which the dump makes`,
    { tablespaces: lacking },
    'Make it there first: CREATE TABLESPACE … LOCATION, in a folder of that machine.',
  );
}

function refuseOlder({ what, server, toolVersion }: WholeQuestion['source'], major: number): void {
  const from = Math.max(server?.major ?? 0, majorOf(toolVersion) ?? 0);
  if (from <= major) return;
  throw unfit(
    `${what} is of PostgreSQL ${from}, and the server of ${major}, which is older`,
    { dump: what, major: from, serverMajor: major },
    `Restore it into PostgreSQL ${from} or newer.`,
  );
}

/** A whole server goes only into one that nobody has begun to use: it would mix with what is there, and cannot be taken back. */
function refuseOccupied({ databases, holds }: Occupied): void {
  const others = databases.filter((name) => !ownDatabases.includes(name));
  const full = Object.entries(holds).flatMap(([name, what]) => (what === null ? [] : [`in '${name}' ${what}`]));
  const there = [...(others.length === 0 ? [] : [`it has the databases ${quoted(others)}`]), ...full];
  if (there.length === 0) return;
  throw new PgproofError(
    'database-not-empty',
    `a whole server is restored only into one that is empty: ${there.join('; ')}`,
    {
      facts: { databases: others, holds: full },
      hint: 'Name an empty server with --server: a new one, as initdb makes it.',
    },
  );
}
