import type { IncomingMessage } from 'node:http';
import type { Credentials } from './credential-source.ts';
import type { Endpoint } from './endpoint.ts';
import type { Exchange } from './transport.ts';

type Headers = IncomingMessage['headers'];
type Options = { headers?: Record<string, string>; mime?: string };
type Answered = { res: { headers: Headers } };
export type LifecycleRule = {
  id?: string;
  prefix?: string;
  status?: string;
  expiration?: unknown;
  transition?: unknown;
  abortMultipartUpload?: { days?: string };
};

/** What is used of ali-oss 6.23: it addresses, signs (version 4), writes and reads XML. Its types leave out half of this. */
export interface Sdk {
  put(key: string, bytes: Buffer, options: Options): Promise<Answered>;
  getStream(
    key: string,
    options: Options,
  ): Promise<{ stream: IncomingMessage; res: { status: number; headers: Headers } }>;
  head(key: string): Promise<Answered>;
  delete(key: string): Promise<Answered>;
  initMultipartUpload(key: string, options: Options): Promise<{ uploadId?: string }>;
  uploadPart(
    key: string,
    upload: string,
    part: number,
    bytes: Buffer,
    from: number,
    to: number,
    options: Options,
  ): Promise<Answered>;
  completeMultipartUpload(
    key: string,
    upload: string,
    parts: { number: number; etag: string }[],
    options: Options,
  ): Promise<Answered>;
  abortMultipartUpload(key: string, upload: string): Promise<Answered>;
  listUploads(query: Record<string, string>): Promise<{
    uploads: { name: string; uploadId: string; initiated: string }[];
    isTruncated: boolean;
    nextKeyMarker?: string;
    nextUploadIdMarker?: string;
  }>;
  listV2(query: Record<string, string>): Promise<{ objects: { name: string; size: number }[]; isTruncated: boolean }>;
  getBucketVersioning(bucket: string): Promise<{ versionStatus?: string }>;
  getBucketWorm(bucket: string): Promise<{ state?: string; days?: string }>;
  getBucketLifecycle(bucket: string): Promise<{ rules: LifecycleRule[] | null }>;
}

export interface SdkSts {
  assumeRole(
    role: string,
    policy: undefined,
    seconds: number,
    session: string,
  ): Promise<{
    credentials: { AccessKeyId: string; AccessKeySecret: string; SecurityToken: string; Expiration: string };
  }>;
}

type SdkModule = {
  new (options: object): Sdk;
  STS: new (options: object) => SdkSts;
};

/** The SDK is loaded when a bucket is first opened: it costs a host that has only files nothing. */
export async function loadSdk(): Promise<SdkModule> {
  return (await import('ali-oss')).default as unknown as SdkModule;
}

/**
 * A client for one call: credentials may have changed since the last, and the SDK keeps what belongs to a call (what is to be
 * cancelled, whom it speaks to) in the client.
 */
export function clientFor(
  sdk: SdkModule,
  { address, cname, region }: Endpoint,
  bucket: string,
  { accessKeyId, accessKeySecret, securityToken }: Credentials,
  exchange: Exchange,
): Sdk {
  return new sdk({
    endpoint: address,
    region,
    bucket,
    cname,
    secure: true,
    authorizationV4: true,
    retryMax: 0,
    accessKeyId,
    accessKeySecret,
    ...(securityToken === undefined ? {} : { stsToken: securityToken }),
    // Refreshed by us; without this the SDK prints advice.
    refreshSTSTokenInterval: Number.MAX_SAFE_INTEGER,
    urllib: exchange,
  });
}
