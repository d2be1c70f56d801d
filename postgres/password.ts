import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';

/**
 * The password for a connection: what the config refers to, otherwise PGPASSWORD, otherwise .pgpass, otherwise none.
 * It is read anew each time, so a changed secret needs no restart.
 * @throws {PgproofError} `password-missing`, `password-open`: both name the file or the variable, never the value.
 */
export async function readPassword(connection: ConnectionConfig): Promise<string | undefined> {
  const configured = await configuredPassword(connection);
  return configured ?? process.env.PGPASSWORD ?? (await passwordFromPgpass(connection));
}

/**
 * What a PostgreSQL tool needs in its environment to log in. Never in argv, which every user of the machine can read.
 * PGPASSWORD and .pgpass of our own environment reach the tool by themselves.
 */
export async function secretEnv(connection: ConnectionConfig): Promise<Record<string, string>> {
  const password = await configuredPassword(connection);
  return password === undefined ? {} : { PGPASSWORD: password };
}

async function configuredPassword({ password }: ConnectionConfig): Promise<string | undefined> {
  if (password === undefined) return undefined;
  return 'file' in password ? passwordFromFile(password.file) : passwordFromEnvironment(password.env);
}

function passwordFromEnvironment(variable: string): string {
  const value = process.env[variable];
  if (value) return value;
  throw new PgproofError('password-missing', `the environment variable ${variable} holds no password`, {
    facts: { variable },
    hint: `Set ${variable} in the environment of this process, or point connection.password at a file.`,
  });
}

async function passwordFromFile(path: string): Promise<string> {
  const text = await readSecretFile(path);
  const password = text.replace(/\r?\n$/, '');
  if (password !== '') return password;
  throw new PgproofError('password-missing', `the password file '${path}' is empty`, {
    facts: { path },
    hint: 'Write the password into it as one line.',
  });
}

async function readSecretFile(path: string): Promise<string> {
  try {
    const mode = (await stat(path)).mode & 0o777;
    if ((mode & 0o077) !== 0) throw openFile(path, mode);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof PgproofError) throw error;
    throw new PgproofError(
      'password-missing',
      `the password file '${path}' cannot be read: ${(error as Error).message}`,
      {
        facts: { path },
        hint: 'Make the file, owned by the user that runs pgproof, mode 0600, or use .pgpass.',
        cause: error,
      },
    );
  }
}

function openFile(path: string, mode: number): PgproofError {
  const octal = mode.toString(8).padStart(4, '0');
  return new PgproofError('password-open', `the password file '${path}' has mode ${octal}: others can read it`, {
    facts: { path, mode: octal },
    hint: `Run: chmod 600 '${path}'`,
  });
}

/** Like libpq: a .pgpass that others can read is not used. Source: PostgreSQL fe-connect.c, passwordFromFile. */
async function passwordFromPgpass(connection: ConnectionConfig): Promise<string | undefined> {
  const path = process.env.PGPASSFILE ?? join(homedir(), '.pgpass');
  try {
    if (((await stat(path)).mode & 0o077) !== 0) return undefined;
    return findInPgpass(await readFile(path, 'utf8'), connection);
  } catch {
    return undefined; // absent or closed: the server says whether it wanted a password, and then the error says so
  }
}

/** The password of the first line `host:port:database:user:password` that fits; `*` fits all, `\` escapes. */
export function findInPgpass(
  text: string,
  { socket, host, port, database, user }: ConnectionConfig,
): string | undefined {
  const hosts = socket === undefined ? [host as string] : [socket, 'localhost'];
  const wanted = [hosts, [String(port)], [database], [user]];
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const fields = (line.match(/(?:^|:)((?:\\.|[^:\\])*)/g) ?? []).map((field) => field.replace(/^:/, ''));
    const password = fields[4];
    const fits = wanted.every(
      (values, index) => fields[index] === '*' || values.includes(unescaped(fields[index] ?? '')),
    );
    if (fits && password !== undefined) return unescaped(password.replace(/\r$/, ''));
  }
  return undefined;
}

const unescaped = (field: string): string => field.replace(/\\(.)/g, '$1');
