import { PgproofError } from '../core/errors.ts';
import { inParallel } from '../core/parallel.ts';
import type { Compared, Folder } from './compare.ts';
import type { Copying } from './copying.ts';

/**
 * How one object is sent. Answers the bytes that the target was given; undefined when what is there may stay, though its
 * size is another.
 */
export type Send = (object: Compared, signal: AbortSignal) => Promise<number | undefined>;

/** Sends what the target lacks of a folder, then asks it for a listing: what a store has accepted and what it holds may differ. */
export async function sendFolder(copying: Copying, { folder, objects }: Folder, send: Send): Promise<void> {
  const { tally, width, run, again } = copying;
  const sent = new Map<string, number>();
  const wanted = objects.filter((object) => {
    if (object.there === object.bytes && !again) tally.isThere(object.bytes);
    return object.there !== object.bytes && !tally.isRefused(object.key);
  });
  await inParallel(wanted, { width, signal: run.signal }, async (object, signal) => {
    const bytes = await tally.orRefuse(object.key, signal, () => send(object, signal));
    if (bytes !== undefined) sent.set(object.key, bytes);
    else if (!tally.isRefused(object.key)) tally.isThere(object.bytes);
  });
  await confirm(copying, folder, sent);
}

/** Names what was sent and is not there in the same size. */
export async function confirm(
  { to, tally, run }: Copying,
  folder: string,
  sent: ReadonlyMap<string, number>,
): Promise<void> {
  if (sent.size === 0) return;
  const held = new Map<string, number>();
  for await (const { key, bytes } of to.store.list(folder, { signal: run.signal }))
    if (sent.has(key)) held.set(key, bytes);
  for (const [key, bytes] of [...sent].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (held.get(key) === bytes) tally.sent(bytes);
    else tally.refuse(key, notHeld(to.name, key, bytes, held.get(key)));
  }
}

function notHeld(repository: string, key: string, sentBytes: number, heldBytes: number | undefined): PgproofError {
  return new PgproofError('object-damaged', `repository '${repository}' does not hold '${key}' as it was sent`, {
    facts: { key, repository, sentBytes, heldBytes: heldBytes ?? null },
    hint: 'Look at the store: it accepted the object. The next copy sends it again.',
  });
}
