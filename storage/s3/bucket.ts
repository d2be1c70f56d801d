import type { IncomingMessage } from 'node:http';
import type { GetObjectCommandOutput, ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3';
import type { S3Config } from '../../core/config.ts';
import { hasCode, PgproofError } from '../../core/errors.ts';
import type { Bucket, BucketFacts, Call, Receipt, Upload } from '../bucket/bucket.ts';
import { objectExists } from '../errors.ts';
import type { StoredObject } from '../store.ts';
import { Body } from './body.ts';
import { wholeCrc, wholeCrcOf } from './checksums.ts';
import { Client } from './client.ts';
import { rangeIgnored, translated } from './errors.ts';
import { inspectBucket } from './inspect.ts';
import { retained } from './retention.ts';
import { Abilities, compareWhole } from './uploads.ts';

/**
 * A bucket of any store that speaks S3. Asks nothing of it yet.
 * @throws {PgproofError} `store-misconfigured` for what can be known without asking.
 */
export async function openS3Bucket(config: S3Config, { env }: { env: NodeJS.ProcessEnv }): Promise<Bucket> {
  return new S3Bucket(await Client.open(config, env), config);
}

type Range = { offset: number; length: number };

const wantsChecksum = { 'x-amz-checksum-mode': 'ENABLED' };

class S3Bucket implements Bucket {
  readonly #client: Client;
  readonly #config: S3Config;
  readonly #abilities = new Abilities();
  /** Class and encryption of what is new. */
  readonly #kept: { StorageClass?: StorageClass; ServerSideEncryption?: ServerSideEncryption; SSEKMSKeyId?: string };

  constructor(client: Client, config: S3Config) {
    this.#client = client;
    this.#config = config;
    const { storageClass, encryption } = config;
    this.#kept = {
      ...(storageClass === undefined ? {} : { StorageClass: storageClass }),
      ...(encryption === undefined ? {} : { ServerSideEncryption: encryption.algorithm }),
      ...(encryption?.kmsKeyId === undefined ? {} : { SSEKMSKeyId: encryption.kmsKeyId }),
    };
  }

  async put(key: string, bytes: Uint8Array, call: Call): Promise<void> {
    await this.#abilities.offering(async () => {
      const condition = await this.#condition(key, call);
      const digest = this.#abilities.digest(bytes);
      const input = { ...this.#at(key), ...this.#kept, ...condition, ...digest.input, Body: bytes };
      const command = new this.#client.sdk.PutObjectCommand(input);
      const answer = await this.#client.send(command, call, key, digest.headers);
      if (answer.ETag === undefined) throw unusable(key, 'no ETag');
      await this.#assertStored(key, call, () => this.#abilities.compare(key, bytes, digest, answer));
    });
  }

  async begin(key: string, call: Call): Promise<string> {
    return this.#abilities.offering(async () => {
      const input = { ...this.#at(key), ...this.#kept, ...this.#abilities.upload };
      const answer = await this.#client.send(new this.#client.sdk.CreateMultipartUploadCommand(input), call, key);
      if (input.ChecksumAlgorithm !== undefined) this.#abilities.learn(answer.ChecksumAlgorithm === 'CRC32');
      if (answer.UploadId === undefined) throw unusable(key, 'an upload without an id');
      return answer.UploadId;
    });
  }

  async putPart(key: string, upload: string, number: number, bytes: Uint8Array, call: Call): Promise<Receipt> {
    const digest = this.#abilities.digest(bytes);
    const input = { ...this.#at(key), UploadId: upload, PartNumber: number, ...digest.input, Body: bytes };
    const answer = await this.#client.send(new this.#client.sdk.UploadPartCommand(input), call, key, digest.headers);
    this.#abilities.compare(key, bytes, digest, answer);
    if (answer.ETag === undefined) throw unusable(key, 'a part without an ETag');
    return { number, bytes: bytes.length, etag: answer.ETag, checksum: digest.checksum };
  }

  async complete(key: string, upload: string, receipts: readonly Receipt[], call: Call): Promise<void> {
    const crc = wholeCrc(receipts);
    const parts = receipts.map(({ number, etag, checksum }) => ({
      PartNumber: number,
      ETag: etag,
      ...(crc === undefined ? {} : { ChecksumCRC32: checksum.slice('crc32:'.length) }),
    }));
    await this.#abilities.offering(async () => {
      const condition = await this.#condition(key, call);
      const whole = crc === undefined ? {} : { ChecksumCRC32: crc, ChecksumType: 'FULL_OBJECT' as const };
      const input = { ...this.#at(key), UploadId: upload, ...condition, ...whole, MultipartUpload: { Parts: parts } };
      const command = new this.#client.sdk.CompleteMultipartUploadCommand(input);
      const answer = await this.#client.send(command, call, key);
      if (answer.ETag === undefined) throw unusable(key, 'no ETag');
      await this.#assertStored(key, call, () => compareWhole(key, receipts, answer));
    });
  }

  async abort(key: string, upload: string, call: Call): Promise<void> {
    const command = new this.#client.sdk.AbortMultipartUploadCommand({ ...this.#at(key), UploadId: upload });
    await this.#client.send(command, call, key).catch(unlessMissing);
  }

  async uploads(prefix: string, after: string | undefined, call: Call): Promise<{ uploads: Upload[]; next?: string }> {
    const [KeyMarker, UploadIdMarker] = after === undefined ? [] : (JSON.parse(after) as [string, string]);
    const input = { Bucket: this.#config.bucket, Prefix: prefix, KeyMarker, UploadIdMarker };
    const answer = await this.#client.send(new this.#client.sdk.ListMultipartUploadsCommand(input), call, prefix);
    if (answer.IsTruncated === undefined) throw unusable(prefix, 'no listing');
    const uploads = (answer.Uploads ?? []).flatMap(({ Key, UploadId, Initiated }) =>
      Key && UploadId && Initiated ? { key: Key, upload: UploadId, startedAt: Initiated } : [],
    );
    if (!answer.IsTruncated) return { uploads };
    const next = JSON.stringify([answer.NextKeyMarker ?? '', answer.NextUploadIdMarker ?? '']);
    if (next === after) throw unusable(prefix, 'the same page of uploads again');
    return { uploads, next };
  }

  async head(key: string, call: Call): Promise<{ bytes: number; etag: string; checksum?: string } | undefined> {
    const command = new this.#client.sdk.HeadObjectCommand(this.#at(key));
    const answer = await this.#client.send(command, call, key, wantsChecksum).catch(() => this.#headByGet(key, call));
    if (answer === undefined) return undefined;
    if (answer.ETag === undefined || answer.ContentLength === undefined) throw unusable(key, 'no size or no ETag');
    const crc = wholeCrcOf(answer);
    return {
      bytes: answer.ContentLength,
      etag: answer.ETag,
      ...(crc === undefined ? {} : { checksum: `crc32:${crc}` }),
    };
  }

  async get(key: string, range: Range | undefined, call: Call): Promise<{ bytes: number; etag: string; body: Body }> {
    const answer = await this.#get(key, range, call);
    const source = answer.Body as unknown as IncomingMessage;
    const { ContentLength: bytes, ETag: etag } = answer;
    if (bytes === undefined || etag === undefined) {
      source.destroy();
      throw unusable(key, 'no size or no ETag');
    }
    if (range !== undefined && answer.ContentRange?.split('/')[0] !== contentRange(range)) {
      source.destroy();
      throw rangeIgnored(key, range, totalOf(answer));
    }
    const crc = range === undefined ? wholeCrcOf(answer) : undefined;
    const meaning = (error: unknown) => translated(error, { key, signal: call.signal, config: this.#config });
    return { bytes, etag, body: new Body(source, { key, bytes, crc, meaning }) };
  }

  async list(
    prefix: string,
    after: string | undefined,
    call: Call,
  ): Promise<{ objects: StoredObject[]; next?: string }> {
    const input = { Bucket: this.#config.bucket, Prefix: prefix, StartAfter: after, MaxKeys: 1000 };
    let token: string | undefined;
    for (;;) {
      const command = new this.#client.sdk.ListObjectsV2Command({ ...input, ContinuationToken: token });
      const answer = await this.#client.send(command, call, prefix);
      // A page of somebody else's, such as a login's, must not look like an empty bucket.
      if (answer.IsTruncated === undefined) throw unusable(prefix, 'no listing');
      const objects = (answer.Contents ?? []).map(({ Key = '', Size = 0 }) => ({ key: Key, bytes: Size }));
      const last = objects.at(-1)?.key;
      if (!answer.IsTruncated) return { objects };
      if (last !== undefined) return { objects, next: last };
      // A page may be empty although more follow; then only its token leads on.
      if (answer.NextContinuationToken === undefined || answer.NextContinuationToken === token)
        throw unusable(prefix, 'a listing that does not go on');
      token = answer.NextContinuationToken;
    }
  }

  async remove(key: string, call: Call): Promise<void> {
    try {
      await this.#client.send(new this.#client.sdk.DeleteObjectCommand(this.#at(key)), call, key);
    } catch (error) {
      if (hasCode(error, 'object-missing')) return;
      if (!hasCode(error, 'store-denied', 'store-misconfigured')) throw error;
      throw (await retained(this.#client, this.#config.bucket, key, call)) ?? error;
    }
  }

  async inspect(prefix: string, call: Call): Promise<BucketFacts> {
    return inspectBucket(this.#client, this.#config.bucket, prefix, call);
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#config.bucket, Key: key };
  }

  /** What the store has is not what was given: it must not stay, or it would be taken for the object. */
  async #assertStored(key: string, call: Call, compare: () => void): Promise<void> {
    try {
      compare();
    } catch (error) {
      if (!hasCode(error, 'object-damaged')) throw error;
      const removed = await this.remove(key, call).then(
        () => true,
        () => false,
      );
      throw error.retold({ facts: { removed } });
    }
  }

  /** Where the store knows no conditions, a look before is what is left. */
  async #condition(key: string, call: Call): Promise<{ IfNoneMatch?: '*' }> {
    if (this.#abilities.condition) return { IfNoneMatch: '*' };
    if ((await this.head(key, call)) !== undefined) throw objectExists(key);
    return {};
  }

  async #get(key: string, range: Range | undefined, call: Call): Promise<GetObjectCommandOutput> {
    const input = {
      ...this.#at(key),
      ...(range === undefined ? {} : { Range: contentRange(range).replace(' ', '=') }),
    };
    return this.#client.send(new this.#client.sdk.GetObjectCommand(input), call, key, wantsChecksum);
  }

  /** The answer to a HEAD has no body that could tell a missing object from a missing bucket, or say what is wrong. */
  async #headByGet(key: string, call: Call): Promise<GetObjectCommandOutput | undefined> {
    const answer = await this.#get(key, undefined, call).catch(unlessMissing);
    (answer?.Body as unknown as IncomingMessage | undefined)?.destroy();
    return answer;
  }
}

const contentRange = ({ offset, length }: Range): string => `bytes ${offset}-${offset + length - 1}`;

/** Bytes of the whole object: of an answer with a part they stand behind the slash. */
function totalOf({ ContentRange, ContentLength, $metadata }: GetObjectCommandOutput): number | undefined {
  if (ContentRange !== undefined) return Number(ContentRange.split('/')[1]) || undefined;
  return $metadata.httpStatusCode === 200 ? ContentLength : undefined;
}

function unlessMissing(error: unknown): undefined {
  if (!hasCode(error, 'object-missing')) throw error;
  return undefined;
}

function unusable(key: string, what: string): PgproofError {
  return new PgproofError('store-unreachable', `the store answered ${what}`, { facts: { key } });
}
