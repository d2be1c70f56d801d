import { PgproofError } from '../core/errors.ts';

/** The error of a decoder: what was read is not what was written. Callers that know the object's key name it. */
export function damaged(why: string, cause?: unknown): PgproofError {
  return new PgproofError('object-damaged', `the stored bytes are damaged: ${why}`, {
    hint: 'The object was changed, cut or swapped after it was written, or another key was used to write it.',
    cause,
  });
}
