import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { PgproofError } from '../../core/errors.ts';

export type Line = { name: string; value: string; line: number };

/**
 * The settings of a file of `NAME=value` lines, as shell scripts have them; a name without a value is left out. Stricter than a
 * shell, because each value counts: what is no setting, or stands twice, is refused, and a `#` inside a value belongs to it.
 * @throws {PgproofError} `usage`, naming the line and quoting no value: any of them may be a secret.
 */
export async function readEnvFile(path: string): Promise<Line[]> {
  const lines = (await readText(path)).split(/\r?\n/).map((text, index) => ({ text: text.trim(), line: index + 1 }));
  const settings = lines.flatMap(({ text, line }) =>
    text === '' || text.startsWith('#') ? [] : [parse(path, text, line)],
  );
  const firsts = new Map<string, number>();
  for (const { name, line } of settings) {
    const first = firsts.get(name);
    if (first !== undefined) throw refused(path, line, `${name} stands in line ${first}, too`);
    firsts.set(name, line);
  }
  return settings.filter(({ value }) => value !== '');
}

function parse(path: string, text: string, line: number): Line {
  const [, name, rest] = /^(?:export\s+)?([A-Za-z_]\w*)=(.*)$/.exec(text) ?? [];
  if (name === undefined || rest === undefined) throw refused(path, line, 'it is no NAME=value');
  if (/\p{Cc}/u.test(rest)) throw refused(path, line, `the value of ${name} holds a control character`);
  const quoted = /^(["'])(.*)\1\s*(?:\s#.*)?$/.exec(rest);
  if (quoted !== null && !quoted[2]?.includes(quoted[1] as string)) return { name, value: quoted[2] as string, line };
  if (/^["']/.test(rest)) throw refused(path, line, `the quotes around the value of ${name} do not match`);
  return { name, value: rest.replace(/(?:^|\s+)#.*$/, '').trim(), line };
}

const mostBytes = 1_000_000;

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause instanceof PgproofError) throw cause;
    throw unreadable(path, `: ${cause.code}`, cause);
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw unreadable(path, ' as UTF-8: a password in another encoding would become another password', cause);
  }
}

/** Opened without waiting: a pipe that nobody writes to would be waited for by nothing that a signal ends. */
async function readBytes(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (found.isDirectory()) throw unreadable(path, ': EISDIR');
    if (!found.isFile()) throw unreadable(path, ': it is no regular file');
    if (found.size > mostBytes) throw unreadable(path, `: it has ${found.size} bytes, and settings have less`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function unreadable(path: string, why: string, cause?: unknown): PgproofError {
  return new PgproofError('usage', `--from-env '${path}' cannot be read${why}`, { facts: { path }, cause });
}

function refused(path: string, line: number, why: string): PgproofError {
  return new PgproofError('usage', `line ${line} of '${path}' cannot be taken over: ${why}`, {
    facts: { path, line },
    hint: 'Write NAME=value, NAME="value" or a comment; nothing was touched.',
  });
}
