import { execa } from 'execa';
import { PgproofError } from '../core/errors.ts';

/** The majors whose behaviour this code knows. */
export const supportedMajors = { oldest: 13, newest: 18 } as const;

/**
 * The major of what `server_version_num` says, 150018 → 15.
 * @throws {PgproofError} `server-unsupported`
 */
export function supportedMajor(versionNumber: number, versionText: string): number {
  const major = Math.floor(versionNumber / 10_000);
  const { oldest, newest } = supportedMajors;
  if (major >= oldest && major <= newest) return major;
  throw new PgproofError('server-unsupported', `PostgreSQL ${versionText} is not supported`, {
    facts: { major, oldest, newest },
    hint: `pgproof supports PostgreSQL ${oldest} to ${newest}${major > newest ? '; a newer pgproof may know this one' : ''}.`,
  });
}

/**
 * What `<program> --version` says: `postgres (PostgreSQL) 15.18 (Debian …)`, `pg_basebackup (PostgreSQL) 18.6`.
 * @throws {PgproofError} `tool-output` when that is not a PostgreSQL program's answer.
 */
export async function toolVersion(path: string): Promise<{ major: number; text: string }> {
  const { stdout } = await execa(path, ['--version'], { timeout: 10_000, reject: false, env: { LC_ALL: 'C' } });
  return parseToolVersion(path, stdout);
}

/** @throws {PgproofError} `tool-output` */
export function parseToolVersion(path: string, said: string): { major: number; text: string } {
  const match = /\(PostgreSQL\) (\d+)\S*/.exec(said);
  if (match === null) {
    throw new PgproofError('tool-output', `'${path} --version' does not answer like a PostgreSQL program`, {
      facts: { path },
    });
  }
  return { major: Number(match[1]), text: said.replace(/^.*\(PostgreSQL\) /, '').trim() };
}
