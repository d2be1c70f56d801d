import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { invalidArgument, OssFailure } from './failure.ts';

/*
 * Alibaba Cloud's published algorithm for OSS4-HMAC-SHA256, header and query form:
 * https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
 */

export type SignedRequest = {
  method: string;
  /** Not encoded; undefined for requests to the bucket itself or to the service. */
  bucket: string | undefined;
  key: string;
  /** Decoded; null for a name without `=`. */
  query: ReadonlyMap<string, string | null>;
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>;
};

export type Claim = {
  accessKeyId: string;
  signDate: string;
  region: string;
  /** x-oss-date, as text. */
  time: string;
  additional: string[];
  signature: string;
  /** Seconds that a signed address is valid; undefined for the header form. */
  expires: number | undefined;
  token: string | undefined;
};

/** What the request says of its signature. @throws OssFailure as OSS answers for each malformed part. */
export function claimOf({ headers, query }: SignedRequest): Claim {
  const authorization = headers.get('authorization');
  if (authorization !== undefined) return headerClaim(authorization, headers);
  if (query.has('x-oss-signature')) return queryClaim(query);
  throw new OssFailure(403, 'AccessDenied', 'You have no right to access this object because of bucket acl.', {
    ec: '0003-00000001',
  });
}

function headerClaim(authorization: string, headers: ReadonlyMap<string, string>): Claim {
  const [version, ...rest] = authorization.split(' ');
  if (version !== 'OSS4-HMAC-SHA256')
    throw invalidArgument('This bucket takes only version 4 of the signature.', '0002-00000201');
  const fields = new Map<string, string>();
  for (const field of rest.join('').split(',')) {
    const at = field.indexOf('=');
    if (at < 1) throw invalidArgument('Authorization header is invalid.', '0002-00000202');
    fields.set(field.slice(0, at), field.slice(at + 1));
  }
  const additional = fields.get('AdditionalHeaders');
  if (additional === '') throw invalidArgument('AdditionalHeaders is empty.', '0002-00000209');
  if (headers.get('x-oss-content-sha256') !== 'UNSIGNED-PAYLOAD')
    throw invalidArgument('x-oss-content-sha256 must be UNSIGNED-PAYLOAD.', '0002-00000212');
  return {
    ...credentialOf(fields.get('Credential') ?? ''),
    time: headers.get('x-oss-date') ?? '',
    additional: additional?.split(';') ?? [],
    signature: fields.get('Signature') ?? '',
    expires: undefined,
    token: headers.get('x-oss-security-token'),
  };
}

function queryClaim(query: ReadonlyMap<string, string | null>): Claim {
  const value = (name: string) => query.get(name) ?? '';
  if (value('x-oss-signature-version') !== 'OSS4-HMAC-SHA256')
    throw invalidArgument('Invalid signature version.', '0002-00000221');
  return {
    ...credentialOf(value('x-oss-credential')),
    time: value('x-oss-date'),
    additional: value('x-oss-additional-headers') === '' ? [] : value('x-oss-additional-headers').split(';'),
    signature: value('x-oss-signature'),
    expires: Number(value('x-oss-expires')),
    token: query.get('x-oss-security-token') ?? undefined,
  };
}

function credentialOf(credential: string): { accessKeyId: string; signDate: string; region: string } {
  const [accessKeyId, signDate, region, product, terminator, ...more] = credential.split('/');
  if (
    !accessKeyId ||
    !signDate ||
    !region ||
    product !== 'oss' ||
    terminator !== 'aliyun_v4_request' ||
    more.length > 0
  )
    throw invalidArgument('Invalid Credential in Authorization header.', '0002-00000205');
  return { accessKeyId, signDate, region };
}

/** @throws OssFailure SignatureDoesNotMatch, with what OSS would have signed. */
export function assertSignature(request: SignedRequest, claim: Claim, secret: string): void {
  const canonical = canonicalRequest(request, claim);
  const scope = `${claim.signDate}/${claim.region}/oss/aliyun_v4_request`;
  const hashed = createHash('sha256').update(canonical).digest('hex');
  const toSign = ['OSS4-HMAC-SHA256', claim.time, scope, hashed].join('\n');
  const expected = signature(toSign, claim, secret);
  const given = Buffer.from(claim.signature);
  if (given.length === expected.length && timingSafeEqual(given, Buffer.from(expected))) return;
  throw new OssFailure(
    403,
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    {
      ec: '0002-00000229',
      elements: {
        OSSAccessKeyId: claim.accessKeyId,
        SignatureProvided: claim.signature,
        StringToSign: toSign,
        CanonicalRequest: canonical,
      },
    },
  );
}

export function signature(toSign: string, claim: Pick<Claim, 'signDate' | 'region'>, secret: string): string {
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const dateKey = hmac(`aliyun_v4${secret}`, claim.signDate);
  const signingKey = hmac(hmac(hmac(dateKey, claim.region), 'oss'), 'aliyun_v4_request');
  return hmac(signingKey, toSign).toString('hex');
}

function canonicalRequest({ method, bucket, key, query, headers }: SignedRequest, { additional }: Claim): string {
  const path = bucket === undefined ? '/' : `/${bucket}/${key}`;
  const names = [...headers.keys()].filter(
    (name) =>
      name === 'content-type' || name === 'content-md5' || name.startsWith('x-oss-') || additional.includes(name),
  );
  return [
    method,
    encoded(path).replaceAll('%2F', '/'),
    [...query]
      .filter(([name]) => name !== 'x-oss-signature')
      .map(([name, value]) => [encoded(name), value === null || value === '' ? '' : `=${encoded(value)}`] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map((pair) => pair.join(''))
      .join('&'),
    names
      .sort()
      .map((name) => `${name}:${(headers.get(name) as string).trim()}\n`)
      .join(''),
    additional.join(';'),
    'UNSIGNED-PAYLOAD',
  ].join('\n');
}

/** RFC 3986: all but letters, digits, `-`, `.`, `_` and `~`. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
