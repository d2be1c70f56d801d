import { onTestFinished } from 'vitest';
import type { PgproofError } from '../../../core/errors.ts';
import type { Bucket } from '../../../storage/bucket/bucket.ts';
import { openS3Bucket } from '../../../storage/s3/bucket.ts';
import { type Misbehaving, startMisbehaving } from '../../support/misbehaving.ts';
import type { TestS3 } from '../../support/s3-server.ts';

/** The least that S3 allows for a part which is not the last. */
export const pieceBytes = 5 << 20;

export const call = { signal: new AbortController().signal };

/** The driver alone: what it does with one request, and each error as it comes. */
export function driverOn(
  server: TestS3,
  bucket: string,
  { env = server.env(), ...config }: { env?: NodeJS.ProcessEnv; [key: string]: unknown } = {},
): Promise<Bucket> {
  return openS3Bucket(server.config(bucket, config), { env });
}

/** A network before the server that can be made bad, for one test. */
export async function networkBefore(server: TestS3): Promise<Misbehaving> {
  const network = await startMisbehaving({ host: '127.0.0.1', port: Number(new URL(server.endpoint).port) });
  onTestFinished(() => network.close());
  return network;
}

/** What a store answers in its own words. */
export const xmlError = (code: string, message: string, more = ''): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message>${more}<RequestId>R1</RequestId></Error>`;

export async function refused(promise: Promise<unknown>): Promise<PgproofError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: PgproofError) => ({ error }),
  );
  if ('value' in outcome) throw new Error(`it succeeded: ${JSON.stringify(outcome.value)}`);
  return outcome.error;
}
