import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable, Transform } from 'node:stream';
import { abortReason } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import { Crc64 } from './crc64.ts';
import { networkError } from './network.ts';

/**
 * The body of an object, as it passes: it fails with `object-damaged` when it is not of this length or, where all of it was
 * asked for, not of this checksum. Destroying it ends the request; the signal that the request was sent with ends both.
 */
export function checkedBody(
  response: IncomingMessage,
  { key, bytes, checksum }: { key: string; bytes: number; checksum: string | undefined },
  signal: AbortSignal,
): Readable {
  const crc = new Crc64();
  let passed = 0;
  const body = new Transform({
    transform(chunk: Buffer, _, done) {
      passed += chunk.length;
      if (checksum !== undefined) crc.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      if (passed !== bytes) done(damaged(key, `${passed} bytes instead of ${bytes}`));
      else if (checksum !== undefined && crc.value !== checksum) done(damaged(key, 'its CRC-64 differs'));
      else done();
    },
    // Of a transform's own choice the reader would learn only that it ended.
    destroy(error, done) {
      if (error === null || error instanceof PgproofError) done(error);
      else done(signal.aborted ? abortReason(signal) : networkError(`'${key}'`, error));
    },
  });
  pipeline(response, body, () => {});
  return body;
}

function damaged(key: string, how: string): PgproofError {
  return new PgproofError('object-damaged', `'${key}' did not arrive as the store has it: ${how}`, { facts: { key } });
}
