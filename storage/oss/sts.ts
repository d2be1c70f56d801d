import { hostname } from 'node:os';
import { PgproofError } from '../../core/errors.ts';
import type { Credentials } from './credential-source.ts';
import { networkError } from './network.ts';
import { loadSdk } from './sdk.ts';
import { type Connections, Exchange } from './transport.ts';

/** An hour is what every role allows; it is refreshed long before. */
const sessionSeconds = 3600;

/** Assumes a RAM role with the keys of a RAM user. */
export async function credentialsOfSts(
  address: string,
  role: string,
  { accessKeyId, accessKeySecret }: Credentials,
  connections: Connections,
  signal: AbortSignal,
): Promise<Credentials> {
  const { STS } = await loadSdk();
  const exchange = new Exchange(connections, signal);
  const sts = new STS({ accessKeyId, accessKeySecret, endpoint: address, urllib: exchange });
  try {
    const { credentials } = await sts.assumeRole(role, undefined, sessionSeconds, sessionName());
    return {
      accessKeyId: credentials.AccessKeyId,
      accessKeySecret: credentials.AccessKeySecret,
      securityToken: credentials.SecurityToken,
      expiresAt: new Date(credentials.Expiration),
    };
  } catch (error) {
    throw stsError(role, exchange, error);
  }
}

/** Stands in the account's audit trail. */
function sessionName(): string {
  return `pgproof-${hostname()}`.replace(/[^\w.@-]/g, '-').slice(0, 64);
}

function stsError(role: string, { answer, failure }: Exchange, error: unknown): PgproofError {
  if (answer === undefined) return networkError('STS', failure ?? error);
  const { status } = answer;
  const code = String((error as { code?: unknown }).code ?? 'no code');
  const facts = { role, status, storeCode: code };
  const text = `STS does not let the role '${role}' be assumed: ${code}`;
  if (status >= 500 || status === 429 || status === 408 || code.startsWith('Throttling'))
    return new PgproofError('store-unreachable', text, { facts });
  if (code === 'InvalidTimeStamp.Expired')
    return new PgproofError('clock-skew', 'the clock of this host differs from that of STS', {
      facts: { ...facts, ourTime: new Date().toISOString(), storeTime: String(answer.headers.date ?? '') },
      hint: 'Set the clock of this host, and keep it set by NTP.',
    });
  const hint = code.startsWith('EntityNotExist')
    ? 'Correct the ARN under `credentials.assumeRole`.'
    : "The role's trust policy must name this RAM user, and the user needs sts:AssumeRole.";
  return new PgproofError('store-denied', text, { facts, hint });
}
