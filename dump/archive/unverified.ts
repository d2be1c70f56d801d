import { PgproofError } from '../../core/errors.ts';

export function unverified(why: string): PgproofError {
  return new PgproofError('dump-unverified', `what pg_dump wrote is no whole dump: ${why}`, {
    facts: { why },
    hint: 'Nothing was committed. If it happens again, look at the log of the server and at the disk of this host.',
  });
}
