import { throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import type { StoredObject } from '../store.ts';
import type { Bucket } from './bucket.ts';

/**
 * All objects below the prefix, page by page. A listing decides what is there, so that one which is out of order, or does not
 * go on, is an error and not a shorter list.
 */
export async function* listObjects(bucket: Bucket, prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
  let last: string | undefined;
  let after: string | undefined;
  do {
    throwIfAborted(signal);
    const page = await bucket.list(prefix, after, { signal });
    for (const object of page.objects) {
      if (!object.key.startsWith(prefix) || (last !== undefined && !ascends(last, object.key)))
        throw outOfOrder(prefix, object.key, last);
      last = object.key;
      yield object;
    }
    if (page.next !== undefined && after !== undefined && !ascends(after, page.next))
      throw outOfOrder(prefix, page.next, after);
    after = page.next;
  } while (after !== undefined);
}

/** Stores sort by the bytes of UTF-8; for the keys of ours that is the order of JavaScript's strings. */
function ascends(a: string, b: string): boolean {
  return a < b || Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}

function outOfOrder(prefix: string, key: string, last: string | undefined): PgproofError {
  return new PgproofError('store-misconfigured', `the store lists '${key}' in the wrong place`, {
    facts: { prefix, key, last: last ?? null },
    hint: 'A repository needs a store that lists keys in ascending order.',
  });
}
