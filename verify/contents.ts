import { createHash } from 'node:crypto';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createDecoder } from '../codec/decode.ts';
import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import type { SegmentName } from '../core/segment.ts';
import type { SealedParts } from '../parts/reader.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { sealingOf } from '../repository/keys.ts';
import { associatedData } from '../repository/layout.ts';
import type { StoredPart } from '../repository/record.ts';
import { readSegment } from '../repository/wal.ts';
import type { StoreOptions } from '../storage/store.ts';

/** Whether the keys at hand could also decode what was read; without that, only its bytes were compared. */
export type Checked = { decoded: boolean };

/**
 * Reads a part back as a whole: its bytes against the signed record, and, where a key is at hand, what they decode to.
 * @throws {PgproofError} `object-damaged` with what is wrong, `object-missing`, what the store says.
 */
export async function checkPart(
  cluster: ProtectedCluster,
  record: SealedParts,
  part: StoredPart,
  options: { signal: AbortSignal },
): Promise<Checked> {
  const decoder = decoderFor(cluster, record, part, options.signal);
  try {
    await readPart(cluster, part, decoder, options.signal);
    return { decoded: decoder !== null };
  } catch (thrown) {
    const error = asPgproofError(thrown);
    const isWriteOnly = error.code === 'key-write-only';
    if (decoder === null || !(isWriteOnly || error.code === 'object-damaged')) throw error;
    // What the decoder stumbled over may be damage, or a wrong key: the record's hash tells.
    await readPart(cluster, part, null, options.signal);
    if (isWriteOnly) return { decoded: false };
    throw new PgproofError('object-damaged', `its bytes are those of the record, and do not decode: ${error.message}`, {
      facts: { key: part.key },
      cause: error,
    });
  }
}

function decoderFor(
  { keys }: ProtectedCluster,
  record: SealedParts,
  part: StoredPart,
  signal: AbortSignal,
): Transform | null {
  try {
    return createDecoder({ sealing: sealingOf(record, keys), associatedData: associatedData(part.key), signal });
  } catch (error) {
    if (hasCode(error, 'key-missing', 'key-write-only')) return null;
    throw error;
  }
}

async function readPart(
  { repository }: ProtectedCluster,
  part: StoredPart,
  decoder: Transform | null,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  let storedBytes = 0;
  let plainBytes = 0;
  const measure = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      storedBytes += chunk.length;
      done(null, chunk);
    },
  });
  const count = new Writable({
    highWaterMark: 8 * 1024 * 1024,
    write: (chunk: Buffer, _encoding, done) => {
      plainBytes += chunk.length;
      done();
    },
  });
  const source = await repository.store.read(part.key, { signal });
  if (decoder === null) await pipeline(source, measure, count, { signal });
  else await pipeline(source, measure, decoder, count, { signal });
  if (storedBytes !== part.storedBytes)
    throw damaged(part.key, `it has ${storedBytes} bytes, and the record says ${part.storedBytes}`);
  if (hash.digest('hex') !== part.sha256) throw damaged(part.key, 'its SHA-256 is not the one in the record');
  if (decoder !== null && plainBytes !== part.plainBytes)
    throw damaged(part.key, `it decodes to ${plainBytes} bytes, and the record says ${part.plainBytes}`);
}

/**
 * Reads a segment back: its content against its tag. On a host that may only write, its bytes are read and nothing is compared.
 * @throws {PgproofError} `object-damaged`, `object-missing`, what the store says.
 */
export async function checkSegment(
  cluster: ProtectedCluster,
  era: string,
  { key, segment, tag, bytes }: { key: string; segment: SegmentName; tag: string; bytes: number },
  { segmentBytes, ...options }: StoreOptions & { segmentBytes: number },
): Promise<Checked> {
  const { repository, walKeys, name } = cluster;
  try {
    const plain = await readSegment(repository, walKeys, name, era, segment, tag, {
      ...options,
      maxBytes: segmentBytes,
    });
    if (plain.length !== segmentBytes)
      throw damaged(key, `it holds ${plain.length} bytes, and a segment has ${segmentBytes}`);
    return { decoded: true };
  } catch (error) {
    if (!hasCode(error, 'key-write-only')) throw error;
  }
  let read = 0;
  for await (const piece of await repository.store.read(key, options)) read += (piece as Uint8Array).length;
  if (read !== bytes) throw damaged(key, `it is listed with ${bytes} bytes and yields ${read}`);
  return { decoded: false };
}

const damaged = (key: string, why: string): PgproofError => new PgproofError('object-damaged', why, { facts: { key } });
