import { PgproofError } from '../../core/errors.ts';

const untrusted = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
];
const invalid = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_REVOKED'];
const notTls = ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'EPROTO'];

/** What it means that no answer came: TLS that is not trusted is a setting, the rest may pass. */
export function networkError(what: string, cause: unknown): PgproofError {
  // The signal ended it.
  if (cause instanceof PgproofError) return cause;
  const { code: errno = 'no answer', message } = cause as NodeJS.ErrnoException;
  const facts = { errno };
  if (untrusted.includes(errno))
    return new PgproofError('store-misconfigured', `the certificate of ${what} is not trusted: ${errno}`, {
      facts,
      hint: 'Give the PEM file of its certificate authority as `ca`, and never turn the check off.',
      cause,
    });
  if (invalid.includes(errno))
    return new PgproofError('store-misconfigured', `the certificate of ${what} is not valid: ${errno}`, {
      facts,
      hint: 'Compare the endpoint with the names of the certificate, and the clock of this host with its dates.',
      cause,
    });
  if (notTls.includes(errno))
    return new PgproofError('store-misconfigured', `${what} does not speak TLS: ${errno}`, {
      facts,
      hint: 'The endpoint must be an address of HTTPS.',
      cause,
    });
  const hint =
    errno === 'ENOTFOUND'
      ? 'If it never answered: correct the region or the endpoint. A domain that is bound to the bucket needs `cname: true`.'
      : undefined;
  const text = `${what} does not answer: ${errno === 'no answer' ? message : errno}`;
  return new PgproofError('store-unreachable', text, { facts, ...(hint === undefined ? {} : { hint }), cause });
}
