import { type ErrorCode, PgproofError } from '../core/errors.ts';

/** What PostgreSQL says of this host, and not of the dump. */
const ofThisHost: readonly { says: RegExp; code: ErrorCode; hint?: string; withRoles?: false }[] = [
  { says: /No space left on device|could not extend file [^\n]*wrote only/, code: 'no-space' },
  {
    says: /server closed the connection|terminating connection|the database system is/,
    code: 'tool-failed',
  },
  {
    says: /invalid (?:LC_\w+ )?locale name|extension "[^"\n]*" is not available|could not open extension control file/,
    code: 'dump-unfit',
    hint: 'This host lacks it, and a drill says nothing of the dump then: install it, or drill on another host.',
  },
  {
    says: /role "[^\n]*" does not exist/,
    code: 'dump-unfit',
    hint: 'The dump has no globals, so that its roles are not known: take dumps with globals: true.',
    withRoles: false,
  },
];

/**
 * That a statement fails is what a drill is there to find; that this host's disk is full, or its server was killed, proves nothing.
 * @param hasRoles the dump's own roles were made.
 */
export function whyFailed(error: PgproofError, hasRoles: boolean): PgproofError {
  const { code, message, facts, hint } = error;
  if (code !== 'dump-restore-failed') return error;
  const said = [message, ...(Array.isArray(facts.errors) ? facts.errors : [])].join('\n');
  const known = ofThisHost.find(({ says, withRoles }) => says.test(said) && (withRoles !== false || !hasRoles));
  if (known === undefined) return error;
  const advice = known.hint ?? hint;
  return new PgproofError(known.code, message, { facts, ...(advice === null ? {} : { hint: advice }) });
}
