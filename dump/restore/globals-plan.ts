import { LineCutter, namePattern, readName, SqlReader } from '../../core/sql-text.ts';
import { differenceOf } from './globals-difference.ts';

/** What of a dump's globals is run, and what is left alone. */
export type GlobalsPlan = {
  /** Statements, in their order; may hold hashes of passwords. */
  run: string[];
  /** Roles that come to be. */
  makes: string[];
  /** What exists otherwise and is left alone, and what nobody can restore; sentences without secrets. */
  conflicts: string[];
};

/** That these globals make. */
export const tablespaceNames = (statements: readonly string[]): string[] =>
  statements.filter((text) => text.startsWith('CREATE ')).flatMap((text) => nameIn(tablespace, text));

const makesRole = new RegExp(`^CREATE ROLE ${namePattern}$`);
const ofRole = new RegExp(`^(?:ALTER ROLE|COMMENT ON ROLE|SECURITY LABEL [\\s\\S]*ON ROLE) ${namePattern}`);
const membership = new RegExp(`^GRANT ${namePattern} TO ${namePattern}(?: |$)`);
const inDatabase = new RegExp(`^ALTER ROLE ${namePattern} IN DATABASE ${namePattern}`);
/** What pg_dumpall writes of roles; with --clean, and of a whole server, it writes more. */
const ofGlobals =
  /^(?:ALTER ROLE|COMMENT ON ROLE|SECURITY LABEL [\s\S]* ON ROLE|(?:GRANT|REVOKE) [\s\S]* ON PARAMETER) /;
const tablespace = new RegExp(`^(?:CREATE|ALTER) TABLESPACE ${namePattern}`);

/** The statements of pg_dumpall --globals-only. Commands of psql in it are left out: \connect, \restrict. */
export function statementsOf(sql: Buffer): string[] {
  const cutter = new LineCutter();
  const reader = new SqlReader();
  const lines = [...cutter.lines(sql), ...cutter.end()];
  return lines.flatMap((line) => reader.line(line).flatMap(({ kind, text }) => (kind === 'statement' ? [text] : [])));
}

/**
 * Compares the globals of a dump with those of a server.
 * @param mode `missing`: only what the server lacks; `replace`: also roles that differ.
 * @param self the role that restores: nothing changes the ground it stands on.
 */
export function planGlobals(
  dump: readonly string[],
  server: readonly string[],
  mode: 'missing' | 'replace',
  self: string,
): GlobalsPlan {
  const there = new Set(server.map(comparable));
  const roles = new Set(server.flatMap((text) => nameIn(makesRole, text)));
  const spaces = new Set(tablespaceNames(server));
  const differ = new Map<string, string[]>();
  const plan: GlobalsPlan = { run: [], makes: [], conflicts: [] };
  for (const text of dump) {
    if (there.has(comparable(text))) continue;
    if (/^SET /.test(text)) {
      plan.run.push(text);
      continue;
    }
    const [made] = nameIn(makesRole, text);
    if (made !== undefined) {
      if (roles.has(made)) continue;
      plan.makes.push(made);
      plan.run.push(text);
      continue;
    }
    const left = leftAlone(text, spaces);
    if (left !== null) {
      plan.conflicts.push(left);
      continue;
    }
    if (!ofGlobals.test(text) && !membership.test(text)) {
      plan.conflicts.push(`Left out, because it makes no role: ${/^\S+(?: \S+)?/.exec(text)?.[0].slice(0, 60)} ….`);
      continue;
    }
    const about = nameIn(ofRole, text)[0] ?? nameIn(membership, text, 2)[0];
    const isOther = about !== undefined && roles.has(about);
    if (isOther && (mode === 'missing' || about === self))
      differ.set(about, [...(differ.get(about) ?? []), ...difference(text, about, server)]);
    else plan.run.push(text);
  }
  const differing = [...differ].map(
    ([role, what]) =>
      `Role '${role}' exists otherwise than in the dump${what.length === 0 ? '' : ` (there: ${what.join(', ')})`}, and is left alone.`,
  );
  return { ...plan, run: plan.run.map(withoutGrantor), conflicts: [...differing, ...new Set(plan.conflicts)] };
}

/** What belongs to the machine, or to another database, is never restored. */
function leftAlone(text: string, spaces: ReadonlySet<string>): string | null {
  const [space] = nameIn(tablespace, text);
  if (space !== undefined && spaces.has(space))
    return `Tablespace '${space}' exists, with another owner, folder or settings than in the dump, and is left alone.`;
  if (space !== undefined) return `Tablespace '${space}' is not made: its folder is of the dump's machine.`;
  if (/ ON TABLESPACE /.test(text)) return 'Grants on tablespaces are left out.';
  const [role] = nameIn(inDatabase, text);
  if (role !== undefined) return `Settings of role '${role}' in single databases are left out.`;
  return null;
}

const nameIn = (pattern: RegExp, text: string, group = 1): string[] => {
  const found = pattern.exec(text)?.[group];
  return found === undefined ? [] : [readName(found)];
};

/** The grantor may not exist here; who restores grants. */
const withoutGrantor = (text: string): string =>
  membership.test(text) ? text.replace(new RegExp(` GRANTED BY ${namePattern}$`), '') : text;

/** What a statement of the dump says of a role that the server does not. */
function difference(text: string, role: string, server: readonly string[]): string[] {
  const [group] = nameIn(membership, text);
  if (group !== undefined) return [`member of '${group}'`];
  return differenceOf(
    text,
    server.filter((other) => nameIn(ofRole, other)[0] === role),
  );
}

/** Majors differ in what they say of a membership behind its two roles. */
const comparable = (text: string): string => membership.exec(text)?.[0].trim() ?? text;
