import { PgproofError } from '../core/errors.ts';
import type { ObjectKey } from './store.ts';

export function objectMissing(key: ObjectKey, cause?: unknown): PgproofError {
  return new PgproofError('object-missing', `there is no object '${key}'`, { facts: { key }, cause });
}

export function objectExists(key: ObjectKey, cause?: unknown): PgproofError {
  return new PgproofError('object-exists', `the object '${key}' exists already`, { facts: { key }, cause });
}

/** @param bytes of the object, where they are known. */
export function rangeOutside(
  key: ObjectKey,
  range: { offset: number; length: number },
  bytes?: number,
  cause?: unknown,
): PgproofError {
  const { offset, length } = range;
  const size = bytes === undefined ? 'which is shorter' : `which has ${bytes}`;
  return new PgproofError(
    'range-outside-object',
    `bytes ${offset} to ${offset + length} are outside '${key}', ${size}`,
    { facts: { key, offset, length, ...(bytes === undefined ? {} : { bytes }) }, cause },
  );
}
