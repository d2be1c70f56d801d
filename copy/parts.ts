import { PgproofError } from '../core/errors.ts';
import type { StoredPart } from '../repository/record.ts';
import { partsPrefixOf, type Shelf } from '../repository/shelf.ts';
import type { Compared } from './compare.ts';
import type { Copying } from './copying.ts';
import { giveWay } from './give-way.ts';
import { sendFolder } from './send.ts';
import { assertSource, sendStream } from './transfer.ts';

/**
 * Copies what the target lacks of the parts of a backup or a dump, each compared with the signed record.
 * @param parts in the order in which they go.
 * @throws {PgproofError} `backup-unverified` where some could not be copied; the tally names them.
 */
export async function copyParts(
  copying: Copying,
  shelf: Shelf,
  id: string,
  parts: readonly StoredPart[],
): Promise<void> {
  const { to, run, tally } = copying;
  const folder = partsPrefixOf(shelf, id);
  const held = new Map<string, number>();
  for await (const { key, bytes } of to.store.list(folder, { signal: run.signal })) held.set(key, bytes);
  const byKey = new Map(parts.map((part) => [part.key, part]));
  const objects = parts.map(({ key, storedBytes }): Compared => ({ key, bytes: storedBytes, there: held.get(key) }));
  await sendFolder({ ...copying, again: true }, { folder, objects }, async ({ key, there }, signal) => {
    await copying.newWal();
    return sendPart(copying, byKey.get(key) as StoredPart, there, signal);
  });
  const missing = parts.filter(({ key }) => tally.isRefused(key));
  if (missing.length === 0) return;
  throw new PgproofError(
    'backup-unverified',
    `${missing.length} of ${parts.length} objects of ${shelf.what} ${id} could not be copied`,
    { facts: { [shelf.what]: id, keys: missing.slice(0, 10).map(({ key }) => key), missing: missing.length } },
  );
}

async function sendPart(
  copying: Copying,
  part: StoredPart,
  there: number | undefined,
  signal: AbortSignal,
): Promise<number> {
  if (there !== undefined) {
    await assertSource(copying, part, signal);
    await giveWay(copying, part.key, signal);
  }
  await sendStream(copying, part, signal);
  return part.storedBytes;
}
