import { createHash } from 'node:crypto';
import { PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { Nearest } from '../repository/nearest.ts';
import type { StoredStream } from '../repository/record.ts';
import { PartReader, type SealedParts, Spoiled, type Take } from './reader.ts';

export type StreamOptions = {
  /**
   * Forget what was made of the bytes so far: they were wrong, and the stream comes once more, from another repository. Without it
   * that is the end of it.
   */
  again?: () => Promise<void>;
  /** Asked afterwards for what was taken from elsewhere. @defaultValue the cluster's repositories */
  copies?: Nearest;
};

/**
 * Hands on a whole stream of a dump in order, each part from the nearest repository that has it whole. What was handed on
 * is proven only when this has returned: until then it may be undone, and must not be relied on.
 * @param take what it throws ends the reading.
 * @throws {PgproofError} `object-damaged`, `object-missing`, `key-missing`, what the store says.
 */
export async function readStream(
  cluster: ProtectedCluster,
  record: SealedParts,
  stream: StoredStream,
  run: Run,
  take: Take,
  { again, copies = new Nearest(cluster.repositories) }: StreamOptions = {},
): Promise<void> {
  const reader = new PartReader(cluster, record, stream.plainBytes, run, copies);
  for (;;) {
    try {
      return await readOnce(reader, stream, take);
    } catch (error) {
      if (!(error instanceof Spoiled)) throw error;
      if (again === undefined) throw error.cause;
      // Each time another copy of a part is known to be wrong, so this comes to an end.
      run.progress({ phase: 'fetch', note: `begins again: ${error.message}` });
      await again();
      reader.begin();
    }
  }
}

async function readOnce(reader: PartReader, { parts, plainBytes, sha256 }: StoredStream, take: Take): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const part of parts)
    await reader.read(part, async (chunk, giveBack) => {
      hash.update(chunk);
      bytes += chunk.length;
      await take(chunk, giveBack);
    });
  const found = hash.digest('hex');
  if (found === sha256 && bytes === plainBytes) return;
  throw new PgproofError('object-damaged', 'the parts are whole, and joined they are not what the record says', {
    facts: { keys: parts.map(({ key }) => key), expected: sha256, found, expectedBytes: plainBytes, foundBytes: bytes },
    hint: 'Take another dump; this one was recorded wrongly.',
  });
}
