import { randomBytes } from 'node:crypto';
import { invalidArgument, OssFailure } from './failure.ts';
import type { RamPolicy } from './policy.ts';
import { assertSignature, type Claim, claimOf, type SignedRequest } from './signature.ts';

export type Credentials = { accessKeyId: string; accessKeySecret: string; securityToken?: string };

/** Whose request this is; `policies` undefined: the account itself, which may do everything. */
export type Identity = { credentials: Credentials; policies: RamPolicy[] | undefined; expiresAt: Date | undefined };

const allowedSkewMs = 15 * 60_000;
const everything: RamPolicy = { Version: '1', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

/** Access keys and temporary credentials that the server knows. */
export class Identities {
  readonly #known = new Map<string, Identity>();

  /** A RAM user with these policies; without them, the account's own key. */
  addUser(policies?: RamPolicy[]): Credentials {
    const credentials = { accessKeyId: `LTAI5t${randomId()}`, accessKeySecret: randomBytes(15).toString('hex') };
    this.#known.set(credentials.accessKeyId, { credentials, policies, expiresAt: undefined });
    return credentials;
  }

  /** Temporary credentials, as STS gives them. */
  addSession(expiresAt: Date, policies: RamPolicy[] = [everything]): Required<Credentials> {
    const credentials = {
      accessKeyId: `STS.NU${randomId()}`,
      accessKeySecret: randomBytes(22).toString('hex'),
      securityToken: `CAIS${randomBytes(40).toString('base64')}`,
    };
    this.#known.set(credentials.accessKeyId, { credentials, policies, expiresAt });
    return credentials;
  }

  of(accessKeyId: string): Identity | undefined {
    return this.#known.get(accessKeyId);
  }

  /** From now on these credentials have expired. */
  expire({ accessKeyId }: Credentials): void {
    const identity = this.#known.get(accessKeyId);
    if (identity === undefined) throw new Error('nobody has these credentials');
    identity.expiresAt = new Date(0);
  }

  remove({ accessKeyId }: Credentials): void {
    this.#known.delete(accessKeyId);
  }

  /** Who sent the request: in the order in which OSS looks at clock, region, key, token and signature. */
  authenticate(request: SignedRequest, region: string, now: Date): Identity {
    const claim = claimOf(request);
    assertTime(claim, now);
    if (claim.region !== region)
      throw invalidArgument('Invalid signing region in Authorization header.', '0002-00000226');
    const identity = this.#known.get(claim.accessKeyId);
    if (identity === undefined)
      throw new OssFailure(
        403,
        'InvalidAccessKeyId',
        'The OSS Access Key Id you provided does not exist in our records.',
        { ec: '0002-00000902', elements: { OSSAccessKeyId: claim.accessKeyId } },
      );
    assertToken(identity, claim, now);
    assertSignature(request, claim, identity.credentials.accessKeySecret);
    return identity;
  }
}

function assertTime(claim: Claim, now: Date): void {
  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.time);
  if (time === null) throw invalidArgument('Invalid date in Authorization header.', '0002-00000505');
  if (claim.time.slice(0, 8) !== claim.signDate)
    throw invalidArgument('The date of the Credential differs from that of the request.', '0002-00000210');
  const [year, month, day, hour, minute, second] = time.slice(1).map(Number) as number[];
  const at = Date.UTC(year as number, (month as number) - 1, day, hour, minute, second);
  const elements = {
    MaxAllowedSkewMilliseconds: String(allowedSkewMs),
    RequestTime: new Date(at).toISOString(),
    ServerTime: now.toISOString(),
  };
  if (claim.expires !== undefined) {
    if (now.getTime() > at + claim.expires * 1000)
      throw new OssFailure(403, 'AccessDenied', 'Request has expired.', { ec: '0002-00000224', elements });
    return;
  }
  if (Math.abs(now.getTime() - at) > allowedSkewMs)
    throw new OssFailure(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      { ec: '0002-00000504', elements },
    );
}

function assertToken({ credentials, expiresAt }: Identity, claim: Claim, now: Date): void {
  if (claim.token !== credentials.securityToken) {
    const [code, text] =
      claim.token === undefined
        ? ['AccessDenied', 'You have no right to access this object: a security token is missing.']
        : ['InvalidSecurityToken', 'The security token you provided is invalid.'];
    throw new OssFailure(403, code as string, text as string, { ec: '0002-00000006' });
  }
  if (expiresAt !== undefined && expiresAt <= now)
    throw new OssFailure(403, 'SecurityTokenExpired', 'The security token you provided has expired.', {
      ec: '0002-00000007',
    });
}

function randomId(): string {
  return randomBytes(9).toString('hex').slice(0, 18);
}
