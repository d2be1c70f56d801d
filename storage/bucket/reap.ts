import { throwIfAborted } from '../../core/abort.ts';
import type { Bucket } from './bucket.ts';

/** No object of ours takes so long: it has at most 4 GiB. */
const abandonedAfterMs = 3 * 86_400_000;

/** Aborts what killed writers left: parts of unfinished uploads cost money, and no listing of objects shows them. */
export async function reapUploads(bucket: Bucket, prefix: string, signal: AbortSignal): Promise<number> {
  let reaped = 0;
  let page = await bucket.uploads(prefix, undefined, { signal });
  for (;;) {
    throwIfAborted(signal);
    // Asked for first: some stores do not go on behind an upload that is gone.
    const next = page.next === undefined ? undefined : await bucket.uploads(prefix, page.next, { signal });
    for (const { key, upload, startedAt } of page.uploads) {
      if (!key.startsWith(prefix) || Date.now() - startedAt.getTime() < abandonedAfterMs) continue;
      await bucket.abort(key, upload, { signal });
      reaped += 1;
    }
    if (next === undefined) return reaped;
    page = next;
  }
}
