import { PgproofError } from '../core/errors.ts';
import type { ObjectKey } from './store.ts';

const pieces = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;

/** @throws {PgproofError} `object-key-invalid` for a key that some store could not hold, or that could leave a folder. */
export function assertKey(key: ObjectKey): void {
  if (pieces.test(key) && key.length <= 900 && key.split('/').every((piece) => piece.length <= 200)) return;
  throw new PgproofError('object-key-invalid', `'${key}' is not the key of an object`, { facts: { key } });
}

/** A prefix is the beginning of a key: empty, or up to and including a slash, or into a name. */
export function assertPrefix(prefix: string): void {
  if (prefix !== '') assertKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}
