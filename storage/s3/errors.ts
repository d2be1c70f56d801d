import { lookup } from 'node:dns/promises';
import { abortReason } from '../../core/abort.ts';
import type { S3Config } from '../../core/config.ts';
import { type ErrorCode, type Facts, PgproofError } from '../../core/errors.ts';
import { objectExists, objectMissing, rangeOutside } from '../errors.ts';

export type Context = { key: string; signal: AbortSignal; config: S3Config };

/** What the store itself answered, as the SDK throws it. */
type Fault = Error & {
  $metadata: { httpStatusCode?: number; requestId?: string };
  $response?: { headers: Record<string, string> };
  Region?: string;
  Endpoint?: string;
  ServerTime?: string | Date;
  RequestTime?: string | Date;
};

/** The store's own answer in an error of the SDK; undefined for anything else. */
export function storeFault(error: unknown): Fault | undefined {
  const fault = error as Fault | undefined;
  return fault instanceof Error && fault.$metadata?.httpStatusCode !== undefined ? fault : undefined;
}

/**
 * An error of the SDK or the network as one of ours. The store's own is not kept as a cause: it quotes the access key and
 * what was signed.
 */
export async function translated(error: unknown, context: Context): Promise<unknown> {
  if (context.signal.aborted) return abortReason(context.signal);
  if (error instanceof PgproofError) return error;
  const fault = storeFault(error);
  return fault === undefined ? ofNetwork(error, context) : ofStore(fault, context);
}

type Meaning = { code: ErrorCode; message: string; hint?: string; facts?: Facts };

function ofStore(fault: Fault, context: Context): PgproofError {
  const { key, config } = context;
  const status = fault.$metadata.httpStatusCode ?? 0;
  const { code, message, hint, facts } = meaning(fault, status, context);
  if (code === 'object-missing') return objectMissing(key);
  if (code === 'object-exists') return objectExists(key);
  const retryAfter = Number(fault.$response?.headers['retry-after'] ?? Number.NaN);
  return new PgproofError(code, message, {
    facts: {
      bucket: config.bucket,
      ...(key === '' ? {} : { key }),
      status,
      storeCode: fault.name,
      requestId: fault.$metadata.requestId ?? null,
      ...(Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {}),
      ...facts,
    },
    ...(hint === undefined ? {} : { hint }),
  });
}

function meaning(fault: Fault, status: number, { config }: Context): Meaning {
  const { bucket } = config;
  const said = `${fault.name}: ${fault.message}`.replace(/[.:\s]+$/, '');
  switch (fault.name) {
    case 'NoSuchKey':
    case 'NotFound':
    case 'NoSuchUpload':
      return { code: 'object-missing', message: '' };
    case 'PreconditionFailed':
    case 'FileAlreadyExists':
      return { code: 'object-exists', message: '' };
    case 'NoSuchBucket':
    case 'InvalidBucketName':
      return {
        code: 'store-misconfigured',
        message: `there is no bucket '${bucket}' at this store`,
        hint: 'Make the bucket first (pgproof makes none), or set the right `bucket`, `region` and `endpoint`.',
      };
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
    case 'AuthorizationHeaderMalformed':
    case 'IllegalLocationConstraintException':
      return wrongRegion(fault, config, said);
    case 'SecondLevelDomainForbidden':
    case 'PathStyleNotAllowed':
      return {
        code: 'store-misconfigured',
        message: 'the store refuses the bucket in the path',
        hint: 'Set `pathStyle: false`: this store wants the bucket in the host name.',
      };
    case 'RequestTimeTooSkewed':
    case 'RequestInTheFuture':
      return clocks(fault);
    case 'ExpiredToken':
    case 'ExpiredTokenException':
    case 'TokenRefreshRequired':
    case 'SecurityTokenExpired':
      return {
        code: 'credentials-expired',
        message: 'the credentials for the S3 store have expired',
        hint: 'Renew them where they come from; pgproof reads them again with each request.',
      };
    case 'InvalidAccessKeyId':
      return denied('the store does not know the access key', 'Check the access key id; it may have been deleted.');
    case 'InvalidToken':
    case 'InvalidSecurityToken':
      return denied('the store does not accept the session token', 'Check that token and access key belong together.');
    case 'SignatureDoesNotMatch':
      return denied('the store does not accept the signature', 'Check the secret that belongs to the access key.');
    case 'InvalidRange':
      return { code: 'range-outside-object', message: `the range lies outside the object (${said})` };
    case 'InvalidPart':
    case 'InvalidPartOrder':
      return { code: 'object-damaged', message: `the store lost a part that it had taken (${said})` };
  }
  if (mendedByWaiting.has(fault.name) || status >= 500 || status === 429 || status === 408) {
    // 501 is no trouble of the moment.
    if (status !== 501) return { code: 'store-unreachable', message: `the store answered ${status} ${said}` };
  }
  if (status === 301 || status === 307) return wrongRegion(fault, config, said);
  if (status === 404) return { code: 'store-misconfigured', message: `there is no such thing at the store: ${said}` };
  if (status === 412) return { code: 'object-exists', message: '' };
  if (status === 401 || status === 403)
    return denied(
      `the store refused: ${said}`,
      'The rights of this access key do not suffice: pgproof check --policy.',
    );
  if (status < 400) return { code: 'store-unreachable', message: `the answer with status ${status} is not one of S3` };
  return { code: 'store-misconfigured', message: `the store refused the request: ${said}` };
}

/** With a status that sounds final. */
const mendedByWaiting = new Set([
  // The bytes were damaged on their way, and not taken.
  ...['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch', 'IncompleteBody'],
  ...['RequestTimeout', 'RequestTimeoutException', 'SlowDown', 'Throttling', 'ThrottlingException', 'TooManyRequests'],
  ...['ConditionalRequestConflict', 'OperationAborted', 'InternalError', 'ServiceUnavailable'],
]);

const denied = (message: string, hint: string): Meaning => ({ code: 'store-denied', message, hint });

function wrongRegion({ Region, Endpoint, message, $response }: Fault, config: S3Config, said: string): Meaning {
  const right = Region ?? $response?.headers['x-amz-bucket-region'] ?? /expecting '([a-z0-9-]+)'/.exec(message)?.[1];
  const facts = { region: config.region, ...(right === undefined ? {} : { rightRegion: right }) };
  const code = 'store-misconfigured';
  if (right !== undefined && right !== config.region)
    return {
      code,
      message: `the bucket '${config.bucket}' is in the region '${right}', not in '${config.region}'`,
      hint: `Set \`region: ${right}\`${config.endpoint === undefined ? '' : ', and the endpoint of that region'}.`,
      facts,
    };
  const where = Endpoint === undefined ? '' : ` It names ${Endpoint}.`;
  return {
    code,
    message: `region or endpoint are not the bucket's: ${said}`,
    hint: `Set them as the store says.${where}`,
    facts,
  };
}

function clocks({ ServerTime, RequestTime, $response }: Fault): Meaning {
  const date = (value: string | Date | undefined) => {
    const parsed = new Date(value ?? Number.NaN);
    return Number.isNaN(parsed.getTime()) ? undefined : parsed.toISOString();
  };
  const storeClock = date(ServerTime) ?? date($response?.headers.date) ?? null;
  return {
    code: 'clock-skew',
    message: "this host's clock and the store's are too far apart",
    hint: 'Set the clock of this host, and keep it right with NTP.',
    facts: { storeClock, ourClock: date(RequestTime) ?? new Date().toISOString() },
  };
}

const untrusted = new Set([
  ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_UNTRUSTED'],
]);
const wrongCertificate = new Set(['ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
const notTls = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'EPROTO']);

async function ofNetwork(error: unknown, { config, key }: Context): Promise<PgproofError> {
  const { code = '', message = String(error), hostname } = error as NodeJS.ErrnoException & { hostname?: string };
  const facts: Facts = { bucket: config.bucket, ...(key === '' ? {} : { key }), errno: code };
  const wrong = (text: string, hint: string) =>
    new PgproofError('store-misconfigured', text, { facts, hint, cause: error });
  if (untrusted.has(code))
    return wrong(`the store's certificate is not trusted (${code})`, 'Name the PEM file of its authority under `ca`.');
  if (wrongCertificate.has(code))
    return wrong(
      `the store's certificate does not fit (${message})`,
      'Check the endpoint, the clock, and `pathStyle`.',
    );
  if (notTls.has(code)) return wrong('the store does not speak TLS at this address', 'Check the port of the endpoint.');
  if (code === 'ENOTFOUND' && hostname !== undefined && (await onlyBucketUnknown(hostname, config)))
    return wrong(
      `the store has no host name for the bucket ('${hostname}')`,
      'Set `pathStyle: true`, or check the name of the bucket.',
    );
  const where =
    config.endpoint === undefined ? `bucket '${config.bucket}'` : `${config.endpoint} (bucket '${config.bucket}')`;
  const text = `the store cannot be reached at ${where}: ${code === '' ? message : `${code}${hostname ? ` ${hostname}` : ''}`}`;
  return new PgproofError('store-unreachable', text, { facts, cause: error });
}

/** The endpoint's own name is there, and the one with the bucket before it is not. */
async function onlyBucketUnknown(hostname: string, { bucket, endpoint }: S3Config): Promise<boolean> {
  if (endpoint === undefined || hostname !== `${bucket}.${new URL(endpoint).hostname}`) return false;
  return lookup(new URL(endpoint).hostname).then(
    () => true,
    () => false,
  );
}

/** A range that the store answered with something else. @param total bytes of the object, where they are known. */
export function rangeIgnored(
  key: string,
  range: { offset: number; length: number },
  total: number | undefined,
): PgproofError {
  if (total !== undefined && range.offset + range.length > total) return rangeOutside(key, range, total);
  return new PgproofError('store-misconfigured', `the store does not honour ranges: asked for a part of '${key}'`, {
    facts: { key, ...range },
  });
}
