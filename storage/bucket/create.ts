import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../../core/abort.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import type { Bucket, Receipt } from './bucket.ts';
import { type Piece, piecesOf } from './pieces.ts';
import { readObject } from './read.ts';

export type Created = { bytes: number; sha256: string };

export type CreateOptions = {
  pieceBytes: number;
  parallel: number;
  signal: AbortSignal;
  /** Called before an upload in parts is begun. */
  beforeUpload: () => Promise<void>;
};

/** How long a store may be busy with a part whose sender is gone. */
const busyMs = 250;

/** How long an upload that failed may take to be aborted; what is left then is reaped later. */
const abortMs = 30_000;

/** One request for what fits into a piece, otherwise an upload in parts; SHA-256 of what was handed in, on the way. */
export async function createObject(
  bucket: Bucket,
  key: string,
  body: Readable | Uint8Array,
  options: CreateOptions,
): Promise<Created> {
  const { signal } = options;
  const stopped = new AbortController();
  const stop = () => {
    stopped.abort(signal.aborted ? signal.reason : undefined);
    if (!(body instanceof Uint8Array)) body.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  const hash = createHash('sha256');
  const pieces = piecesOf(body, { ...options, stopped: stopped.signal }, (chunk) => hash.update(chunk));
  try {
    const first = await pieces.next();
    if (first.done) throw new PgproofError('internal', 'a body without a piece');
    if (!first.value.last)
      return await createInParts(bucket, key, first.value, pieces, stop, options, () => hash.digest('hex'));
    const sha256 = hash.digest('hex');
    const { bytes } = first.value;
    await settled(bucket, key, { bytes: bytes.length, sha256 }, signal, () => bucket.put(key, bytes, { signal }));
    return { bytes: bytes.length, sha256 };
  } catch (error) {
    // What the signal ended fails in many ways; this is the one that tells why.
    throw signal.aborted ? abortReason(signal) : error;
  } finally {
    signal.removeEventListener('abort', stop);
    await pieces.return(undefined);
  }
}

async function createInParts(
  bucket: Bucket,
  key: string,
  first: Piece,
  rest: AsyncGenerator<Piece>,
  stop: () => void,
  { signal, beforeUpload }: CreateOptions,
  digest: () => string,
): Promise<Created> {
  await beforeUpload();
  const id = await bucket.begin(key, { signal });
  try {
    const receipts = await sendAll(bucket, key, id, first, rest, stop, signal);
    const created = { bytes: receipts.reduce((sum, { bytes }) => sum + bytes, 0), sha256: digest() };
    await settled(bucket, key, created, signal, () => bucket.complete(key, id, receipts, { signal }));
    await assertSize(bucket, key, created.bytes, signal);
    return created;
  } catch (error) {
    await giveUp(bucket, key, id).catch(() => {});
    throw error;
  }
}

/** A part that the store was still busy with may bring the upload back: it is aborted until it is gone. */
async function giveUp(bucket: Bucket, key: string, id: string): Promise<void> {
  const signal = AbortSignal.timeout(abortMs);
  for (let tries = 0; tries < 5; tries += 1) {
    await bucket.abort(key, id, { signal });
    await sleep(busyMs, undefined, { signal });
    const { uploads } = await bucket.uploads(key, undefined, { signal });
    if (!uploads.some(({ upload }) => upload === id)) return;
  }
}

/** Sends each piece as it comes; `pieces` waits for one that was given back, so that memory stays bounded. */
async function sendAll(
  bucket: Bucket,
  key: string,
  id: string,
  first: Piece,
  rest: AsyncGenerator<Piece>,
  stop: () => void,
  signal: AbortSignal,
): Promise<Receipt[]> {
  const failed = new AbortController();
  // A source from which nothing comes must not be waited for any longer.
  failed.signal.addEventListener('abort', stop, { once: true });
  const both = AbortSignal.any([signal, failed.signal]);
  const sending: Promise<Receipt>[] = [];
  const send = (piece: Piece) => {
    const number = sending.length + 1;
    const part = bucket.putPart(key, id, number, piece.bytes, { signal: both });
    sending.push(part);
    // The first that fails ends the others, and whoever waits for a buffer.
    part.then(piece.giveBack, (error: unknown) => {
      failed.abort(error);
      piece.giveBack();
    });
  };
  try {
    send(first);
    for await (const piece of rest) {
      if (failed.signal.aborted) throw failed.signal.reason;
      send(piece);
    }
    return await Promise.all(sending);
  } catch (error) {
    failed.abort(error);
    // Nothing may still be sending when the upload is aborted: a part that came after would stay.
    await Promise.allSettled(sending);
    throw failed.signal.reason;
  }
}

/**
 * A request whose answer was lost was sent again, and then met its own object (or its upload is gone, because it became
 * one). What is there decides: the same content is success.
 */
async function settled(
  bucket: Bucket,
  key: string,
  created: Created,
  signal: AbortSignal,
  send: () => Promise<void>,
): Promise<void> {
  try {
    await send();
  } catch (error) {
    const again = hasCode(error, 'object-exists', 'object-missing') && Number(error.facts.attempts ?? 1) > 1;
    if (!again || !(await isStored(bucket, key, created, signal))) throw error;
  }
}

async function isStored(
  bucket: Bucket,
  key: string,
  { bytes, sha256 }: Created,
  signal: AbortSignal,
): Promise<boolean> {
  const head = await bucket.head(key, { signal });
  if (head?.bytes !== bytes) return false;
  const hash = createHash('sha256');
  // Not the bucket's own body: that one may fall silent for ever.
  for await (const chunk of await readObject(bucket, key, undefined, signal)) hash.update(chunk);
  return hash.digest('hex') === sha256;
}

async function assertSize(bucket: Bucket, key: string, bytes: number, signal: AbortSignal): Promise<void> {
  const head = await bucket.head(key, { signal });
  if (head?.bytes === bytes) return;
  throw new PgproofError('object-damaged', `the store took something other than what it was given for '${key}'`, {
    facts: { key, bytes, storedBytes: head?.bytes ?? null },
  });
}
