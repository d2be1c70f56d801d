import { type FileHandle, open } from 'node:fs/promises';
import { PgproofError } from '../core/errors.ts';
import type { KeyFileState } from './keys.ts';

export type SecretKind = 'key file' | 'passphrase file' | 'identity file' | 'secret file';

/** A secret of a megabyte is none. */
const longestFile = 1 << 20;

/**
 * A file that holds a secret, with what stat says of it. Mode, state and content come from the same open file, so that nothing can be swapped
 * in between.
 * @throws {PgproofError} `key-file-missing`; `key-file-open` when group or others may use it; `key-file-invalid` for a huge one.
 */
export async function readPrivateFile(path: string, what: SecretKind): Promise<{ text: string } & KeyFileState> {
  await using file = await openPrivate(path, what);
  const stat = await file.stat({ bigint: true });
  const mode = Number(stat.mode & 0o777n);
  if ((mode & 0o077) !== 0) throw openToOthers(path, what, `0${mode.toString(8)}`);
  if (stat.size > longestFile) {
    throw new PgproofError('key-file-invalid', `'${path}' is too large for a ${what}`, { facts: { path } });
  }
  try {
    return { text: await file.readFile('utf8'), path, state: stateIn(stat) };
  } catch (cause) {
    throw unreadable(path, what, cause);
  }
}

/** Tells one state of a file from another. Its time alone would not: two rotations may fall into one tick of the clock. */
export const stateIn = ({ ino, size, mtimeNs }: { ino: bigint; size: bigint; mtimeNs: bigint }): string =>
  `${ino}-${size}-${mtimeNs}`;

async function openPrivate(path: string, what: SecretKind): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw unreadable(path, what, cause);
  }
}

function openToOthers(path: string, what: SecretKind, mode: string): PgproofError {
  return new PgproofError('key-file-open', `the ${what} '${path}' has mode ${mode}: others can read it`, {
    facts: { path, mode },
    hint: `Run: chmod 600 ${path}`,
  });
}

function unreadable(path: string, what: SecretKind, cause: unknown): PgproofError {
  const { code } = cause as NodeJS.ErrnoException;
  return new PgproofError('key-file-missing', `the ${what} '${path}' cannot be read (${code})`, {
    facts: { path, reason: code ?? null },
    hint:
      what === 'key file'
        ? 'Copy it here from its safe place, readable by the user that runs pgproof. Only a cluster that has no backups yet takes a new one: pgproof key generate.'
        : 'Give the path of a file that the user that runs pgproof can read.',
    cause,
  });
}
