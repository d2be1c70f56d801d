import { PgproofError } from '../core/errors.ts';

/** A WAL file of the repository that is not what its name says. */
export function untrusted(name: string, why: string, cause?: unknown): PgproofError {
  return new PgproofError('object-damaged', `the archived file ${name} cannot be trusted: ${why}`, {
    facts: { name },
    hint: 'Where another copy of the repository is kept, take it from there; otherwise take a new backup, so that restores need not pass it.',
    cause,
  });
}
