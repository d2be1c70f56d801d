import { createHash } from 'node:crypto';
import { pipeline, type Readable, Transform } from 'node:stream';
import { pipeline as finished } from 'node:stream/promises';
import { throwIfAborted } from '../core/abort.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { StoredPart } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import { readBytes } from '../storage/bytes.ts';
import type { Copying } from './copying.ts';
import { SourceFailure } from './tally.ts';

/** What a stored object must be, byte for byte. */
export type Expected = Pick<StoredPart, 'key' | 'storedBytes' | 'sha256'>;

/** A whole object of the source in memory. @throws {SourceFailure} */
export async function readSource(
  { from, tally }: Copying,
  key: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const bytes = await readBytes(from.store, key, { signal, maxBytes }).catch((cause: unknown) => {
    throw new SourceFailure(key, { cause });
  });
  tally.moved(bytes.length);
  return bytes;
}

/** Sends an object from memory; one that somebody else has sent meanwhile is left as it is. */
export async function sendBytes({ to }: Copying, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await create(to, { key, storedBytes: bytes.length, sha256 }, bytes, signal);
}

/**
 * Streams an object from source to target. What comes from the source is compared with what is expected before the last of it
 * is handed over: an object that is not the right one never exists at the target.
 * @throws {SourceFailure} when the source failed, or gave something else.
 */
export async function sendStream(copying: Copying, expected: Expected, signal: AbortSignal): Promise<void> {
  const { body, failure, end } = await openChecked(copying, expected, signal);
  try {
    await create(copying.to, expected, body, signal);
  } catch (error) {
    throwIfAborted(signal);
    throw failure() ?? error;
  } finally {
    end();
  }
}

/** Reads an object of the source to its end and compares it, before something at the target gives way to it. */
export async function assertSource(copying: Copying, expected: Expected, signal: AbortSignal): Promise<void> {
  const { body, failure, end } = await openChecked(copying, expected, signal);
  try {
    await finished(body, async (pieces) => {
      for await (const _ of pieces);
    });
  } catch (error) {
    throwIfAborted(signal);
    throw failure() ?? error;
  } finally {
    end();
  }
}

type Checked = {
  body: Readable;
  /** Why the source ended the body; undefined when it was not the source. */
  failure(): SourceFailure | undefined;
  end(): void;
};

async function openChecked({ from, tally }: Copying, expected: Expected, signal: AbortSignal): Promise<Checked> {
  const source = await from.store.read(expected.key, { signal }).catch((cause: unknown) => {
    throw new SourceFailure(expected.key, { cause });
  });
  let failure: SourceFailure | undefined;
  const fail = (cause: unknown): void => {
    failure ??= new SourceFailure(expected.key, { cause });
  };
  source.once('error', fail);
  const hash = createHash('sha256');
  let storedBytes = 0;
  const body = new Transform({
    transform: (piece: Buffer, _encoding, done) => {
      hash.update(piece);
      storedBytes += piece.length;
      tally.moved(piece.length);
      done(null, piece);
    },
    flush: (done) => {
      const same = storedBytes === expected.storedBytes && hash.digest('hex') === expected.sha256;
      if (same) return done();
      const error = notAsRecorded(from, expected, storedBytes);
      fail(error);
      done(error);
    },
  });
  pipeline(source, body, () => undefined); // each ends with the other
  return { body, failure: () => failure, end: () => void body.destroy() };
}

/** @throws {PgproofError} `object-damaged` when the store answers that it took something else, which is then removed. */
async function create(
  { name, store }: Repository,
  { key, storedBytes, sha256 }: Expected,
  body: Readable | Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  try {
    const created = await store.create(key, body, { signal });
    if (created.bytes === storedBytes && created.sha256 === sha256) return;
  } catch (error) {
    if (hasCode(error, 'object-exists')) return; // its size is looked at with those of all that was sent
    throw error;
  }
  await store.remove(key, { signal });
  throw new PgproofError('object-damaged', `repository '${name}' took something other than it was given for '${key}'`, {
    facts: { key, repository: name },
  });
}

function notAsRecorded({ name }: Repository, { key, storedBytes }: Expected, foundBytes: number): PgproofError {
  return new PgproofError(
    'object-damaged',
    `'${key}' of repository '${name}' is not what the record of its backup says`,
    {
      facts: { key, repository: name, expectedBytes: storedBytes, foundBytes },
      hint: `It is damaged where it is copied from. See: pgproof verify --repository ${name}`,
    },
  );
}
