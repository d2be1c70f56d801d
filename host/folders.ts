import { mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { PgproofError } from '../core/errors.ts';

/**
 * Makes a folder of this host's state, 0700 because it holds plain WAL and plans. An existing one keeps its mode.
 * @throws {PgproofError} `state-unusable` naming the folder and the user; `no-space`.
 */
export async function makePrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw folderError(path, error as NodeJS.ErrnoException);
  }
}

function folderError(path: string, cause: NodeJS.ErrnoException): PgproofError {
  const user = userInfo().username;
  if (cause.code === 'ENOSPC' || cause.code === 'EDQUOT') {
    return new PgproofError('no-space', `there is no space to make '${path}'`, { facts: { path }, cause });
  }
  return new PgproofError('state-unusable', `user ${user} cannot make the folder '${path}': ${cause.code}`, {
    facts: { path, user, errno: cause.code ?? null },
    hint: `Make it once: install -d -o ${user} -m 0700 '${path}'. Or set hosts.<name>.state to a folder of that user.`,
    cause,
  });
}
