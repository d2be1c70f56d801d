import { throwIfAborted } from '../../core/abort.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import type { Call } from '../bucket/bucket.ts';
import type { Caller } from './caller.ts';
import { type Ask, wormOf } from './inspect.ts';
import { headersOf } from './look.ts';

/** @throws {PgproofError} `object-retained` where the bucket's retention protects it, with `until` as far as we may see it. */
export async function removeObject(caller: Caller, bucket: string, key: string, call: Call): Promise<void> {
  const asked = { action: 'oss:DeleteObject', doing: `delete '${key}'`, key };
  try {
    await caller.call(
      asked,
      call,
      (client) => client.delete(key),
      (refusal) => (refusal === 'FileImmutable' ? retained(key, undefined) : undefined),
    );
  } catch (error) {
    if (hasCode(error, 'object-retained')) throw retained(key, await retainedUntil(caller, bucket, key, call));
    throw error;
  }
}

/** Retention counts from an object's last change. */
async function retainedUntil(caller: Caller, bucket: string, key: string, call: Call): Promise<string | undefined> {
  const ask: Ask = (action, doing, use) => caller.call({ action, doing, key: '' }, call, use);
  try {
    const lock = await wormOf(ask, bucket);
    const modified = Date.parse(String((await headersOf(caller, key, call))?.['last-modified']));
    if (lock === undefined || lock === 'none' || lock.days === null || Number.isNaN(modified)) return undefined;
    return new Date(modified + lock.days * 86_400_000).toISOString();
  } catch (error) {
    // It is retained all the same.
    throwIfAborted(call.signal);
    if (error instanceof PgproofError) return undefined;
    throw error;
  }
}

function retained(key: string, until: string | undefined): PgproofError {
  const text = until === undefined ? 'by a retention policy of the bucket' : `until ${until}`;
  return new PgproofError('object-retained', `'${key}' is retained ${text}`, {
    facts: { key, ...(until === undefined ? {} : { until }) },
  });
}
