import { hasCode, PgproofError } from '../../core/errors.ts';
import type { Call } from '../bucket/bucket.ts';
import type { Client } from './client.ts';

/** Why a deletion was refused, where a lock is the reason: `object-retained`; undefined for any other. */
export async function retained(
  client: Client,
  bucket: string,
  key: string,
  call: Call,
): Promise<PgproofError | undefined> {
  const { GetObjectRetentionCommand, GetObjectLegalHoldCommand } = client.sdk;
  const where = { Bucket: bucket, Key: key };
  const [retention, hold] = await Promise.all([
    unlessRefused(client.send(new GetObjectRetentionCommand(where), call, key)),
    unlessRefused(client.send(new GetObjectLegalHoldCommand(where), call, key)),
  ]);
  const until = retention?.Retention?.RetainUntilDate;
  if (until !== undefined && until.getTime() > Date.now())
    return locked(key, `until ${until.toISOString()}`, {
      until: until.toISOString(),
      mode: retention?.Retention?.Mode ?? null,
    });
  if (hold?.LegalHold?.Status === 'ON') return locked(key, 'by a legal hold', { until: null, mode: 'LEGAL_HOLD' });
  return undefined;
}

function locked(key: string, how: string, facts: Record<string, string | null>): PgproofError {
  const message = `'${key}' is retained by the store ${how} and was kept`;
  return new PgproofError('object-retained', message, { facts: { key, ...facts } });
}

/** An object without a lock, and a store that knows none, are errors here. */
async function unlessRefused<T>(asking: Promise<T>): Promise<T | undefined> {
  return asking.catch((error: unknown) => {
    if (hasCode(error, 'store-denied', 'store-misconfigured', 'object-missing')) return undefined;
    throw error;
  });
}
