import { PgproofError } from '../../core/errors.ts';

/**
 * What an error of the file system means for an object: what waiting may mend, what not. Any other error, such as
 * that of the body that was being written, stays as it is.
 */
export function storeError(what: string, path: string, cause: unknown): unknown {
  const { code, syscall } = cause as NodeJS.ErrnoException;
  if (cause instanceof PgproofError || code === undefined || syscall === undefined) return cause;
  const facts = { path, errno: code };
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const hint = 'Make room on that file system; what was being written was removed again.';
    return new PgproofError('no-space', `no space to ${what} '${path}'`, { facts, hint, cause });
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
    const hint = 'The repository must be readable and writable for the user that pgproof runs as.';
    return new PgproofError('store-denied', `not allowed to ${what} '${path}': ${code}`, { facts, hint, cause });
  }
  return new PgproofError('store-unreachable', `cannot ${what} '${path}': ${code}`, { facts, cause });
}

export const isErrno = (error: unknown, ...codes: string[]): boolean =>
  codes.includes((error as NodeJS.ErrnoException | null)?.code ?? '');
