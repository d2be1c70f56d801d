import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { OssConfig } from '../../core/config.ts';
import { hasCode } from '../../core/errors.ts';
import type { Bucket, BucketFacts, Call, Receipt } from '../bucket/bucket.ts';
import { objectExists, rangeOutside } from '../errors.ts';
import {
  aheadSeconds,
  assertRange,
  checksumOf,
  damaged,
  lengthOf,
  type Range,
  rangeHeaders,
  strange,
} from './answers.ts';
import { Caller, discard } from './caller.ts';
import { crc64, joinedCrc64 } from './crc64.ts';
import { type CredentialServices, openCredentials } from './credentials.ts';
import type { Asked } from './errors.ts';
import { type Ask, lifecycleOf, versioningOf, wormOf } from './inspect.ts';
import { listObjects, listUploads } from './list.ts';
import { headersOf } from './look.ts';
import { checkedBody } from './received.ts';
import { removeObject } from './remove.ts';
import { loadSdk } from './sdk.ts';
import { Connections } from './transport.ts';

const mime = 'application/octet-stream';

/**
 * A bucket of Alibaba Cloud OSS, on ali-oss. Asks nothing yet.
 * @throws {PgproofError} `credentials-missing`, `store-misconfigured` for what is known without asking.
 */
export async function openOssBucket(
  config: OssConfig,
  { env, services }: { env: NodeJS.ProcessEnv; services?: CredentialServices },
): Promise<Bucket> {
  const connections = new Connections(config.ca);
  const credentials = openCredentials(config, env, connections, services);
  return new OssBucket(config, new Caller(config, await loadSdk(), connections, credentials));
}

class OssBucket implements Bucket {
  readonly #config: OssConfig;
  readonly #caller: Caller;
  /** Headers of what makes an object. */
  readonly #making: Record<string, string>;
  /** A versioned bucket ignores the condition of a put. Undefined until an answer has told. */
  #versioned: boolean | undefined;

  constructor(config: OssConfig, caller: Caller) {
    this.#config = config;
    this.#caller = caller;
    const { storageClass, encryption } = config;
    this.#making = {
      ...conditional,
      ...(storageClass === undefined ? {} : { 'x-oss-storage-class': storageClass }),
      ...(encryption === undefined ? {} : { 'x-oss-server-side-encryption': encryption.algorithm }),
      ...(encryption?.kmsKeyId === undefined ? {} : { 'x-oss-server-side-encryption-key-id': encryption.kmsKeyId }),
    };
  }

  async put(key: string, bytes: Uint8Array, call: Call): Promise<void> {
    await this.#refuseExisting(key, call);
    const body = bufferOf(bytes);
    const options = { headers: { ...this.#making, 'Content-MD5': md5(body) }, mime };
    const { headers } = (await this.#caller.call(writing(key), call, (client) => client.put(key, body, options))).res;
    this.#learn(headers);
    await this.#assertStored(key, crc64(body), headers, call);
  }

  async begin(key: string, call: Call): Promise<string> {
    await this.#refuseExisting(key, call);
    const options = { headers: this.#making, mime };
    const { uploadId } = await this.#caller.call(writing(key), call, (client) =>
      client.initMultipartUpload(key, options),
    );
    if (uploadId !== undefined) return uploadId;
    throw strange(key, 'no id of an upload');
  }

  async putPart(key: string, upload: string, number: number, bytes: Uint8Array, call: Call): Promise<Receipt> {
    const body = bufferOf(bytes);
    const options = { headers: { 'Content-MD5': md5(body) }, mime };
    const { headers } = (
      await this.#caller.call(writing(key), call, (client) =>
        client.uploadPart(key, upload, number, body, 0, body.length, options),
      )
    ).res;
    const checksum = crc64(body);
    if (checksumOf(key, headers) !== checksum) throw damaged(key, { part: number });
    return { number, bytes: body.length, etag: String(headers.etag), checksum };
  }

  async complete(key: string, upload: string, receipts: readonly Receipt[], call: Call): Promise<void> {
    await this.#refuseExisting(key, call);
    const options = { headers: { ...conditional } };
    const parts = receipts.map(({ number, etag }) => ({ number, etag }));
    const { headers } = (
      await this.#caller.call(writing(key), call, (client) =>
        client.completeMultipartUpload(key, upload, parts, options),
      )
    ).res;
    this.#learn(headers);
    const whole = receipts.reduce((sum, { checksum, bytes }) => joinedCrc64(sum, checksum, bytes), '0');
    await this.#assertStored(key, whole, headers, call);
  }

  async abort(key: string, upload: string, call: Call): Promise<void> {
    const asked = { action: 'oss:AbortMultipartUpload', doing: `abort the upload of '${key}'`, key };
    await this.#caller
      .call(asked, call, (client) => client.abortMultipartUpload(key, upload))
      .catch((error: unknown) => {
        if (!hasCode(error, 'object-missing')) throw error;
      });
  }

  uploads(prefix: string, after: string | undefined, call: Call): ReturnType<Bucket['uploads']> {
    return listUploads(this.#caller, prefix, after, call);
  }

  async head(key: string, call: Call): Promise<{ bytes: number; etag: string; checksum?: string } | undefined> {
    const headers = await headersOf(this.#caller, key, call);
    if (headers === undefined) return undefined;
    return { bytes: lengthOf(key, headers), etag: String(headers.etag), checksum: checksumOf(key, headers) };
  }

  async get(
    key: string,
    range: Range | undefined,
    call: Call,
  ): Promise<{ bytes: number; etag: string; body: Readable }> {
    const options = { headers: range === undefined ? {} : rangeHeaders(range) };
    const asked = { action: 'oss:GetObject', doing: `read '${key}'`, key };
    const { stream, res } = await this.#caller.call(
      asked,
      call,
      (client) => client.getStream(key, options),
      (refusal) => (refusal === 'InvalidRange' && range !== undefined ? rangeOutside(key, range) : undefined),
    );
    try {
      const bytes = lengthOf(key, res.headers);
      if (range !== undefined) assertRange(key, range, res, bytes);
      const checksum = range === undefined ? checksumOf(key, res.headers) : undefined;
      return {
        bytes,
        etag: String(res.headers.etag),
        body: checkedBody(stream, { key, bytes, checksum }, call.signal),
      };
    } catch (error) {
      discard({ stream });
      throw error;
    }
  }

  list(prefix: string, after: string | undefined, call: Call): ReturnType<Bucket['list']> {
    return listObjects(this.#caller, prefix, after, call);
  }

  async remove(key: string, call: Call): Promise<void> {
    await removeObject(this.#caller, this.#config.bucket, key, call);
  }

  async inspect(prefix: string, call: Call): Promise<BucketFacts> {
    let clockAheadSeconds: number | undefined;
    const ask: Ask = async (action, doing, use) => {
      const exchange = this.#caller.exchange(call);
      try {
        return await this.#caller.call({ action, doing, key: '' }, call, use, undefined, exchange);
      } finally {
        clockAheadSeconds ??= aheadSeconds(exchange);
      }
    };
    const { bucket } = this.#config;
    const versioning = await versioningOf(ask, bucket);
    const lock = await wormOf(ask, bucket);
    const lifecycle = await lifecycleOf(ask, bucket, prefix);
    return { versioning, lock, ...lifecycle, clockAheadSeconds };
  }

  /** Not safe against somebody who does the same at the same time: nothing above relies on it. */
  async #refuseExisting(key: string, call: Call): Promise<void> {
    if (this.#versioned === false) return;
    if ((await headersOf(this.#caller, key, call)) !== undefined) throw objectExists(key);
  }

  #learn(headers: IncomingHttpHeaders): void {
    this.#versioned = headers['x-oss-version-id'] !== undefined;
  }

  /** What the store has is not what was given: it must not stay, or it would be taken for the object. */
  async #assertStored(key: string, checksum: string, headers: IncomingHttpHeaders, call: Call): Promise<void> {
    const stored = checksumOf(key, headers);
    if (stored === checksum) return;
    const removed = await this.remove(key, call).then(
      () => true,
      () => false,
    );
    throw damaged(key, { checksum, storedChecksum: stored, removed });
  }
}

const conditional = { 'x-oss-forbid-overwrite': 'true' };

function writing(key: string): Asked {
  return { action: 'oss:PutObject', doing: `write '${key}'`, key };
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('base64');
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
