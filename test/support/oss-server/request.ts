import type { IncomingMessage } from 'node:http';
import { OssFailure } from './failure.ts';
import type { Operation } from './faults.ts';
import type { Wish } from './policy.ts';

/** A request as OSS reads it. Query values are null where there is no `=`. */
export type OssRequest = {
  method: string;
  path: string;
  key: string;
  query: ReadonlyMap<string, string | null>;
  headers: ReadonlyMap<string, string>;
  raw: IncomingMessage;
};

export function parsed(raw: IncomingMessage): OssRequest {
  const url = raw.url as string;
  const at = url.indexOf('?');
  const path = decodeURIComponent(at < 0 ? url : url.slice(0, at));
  const query = new Map<string, string | null>();
  for (const pair of at < 0 ? [] : url.slice(at + 1).split('&')) {
    const equals = pair.indexOf('=');
    if (equals < 0) query.set(decodeURIComponent(pair), null);
    else query.set(decodeURIComponent(pair.slice(0, equals)), decodeURIComponent(pair.slice(equals + 1)));
  }
  const headers = new Map(Object.entries(raw.headers).map(([name, value]) => [name, String(value)]));
  return { method: raw.method as string, path, key: path.slice(1), query, headers, raw };
}

export function operationOf({ method, key, query }: OssRequest): Operation {
  const has = (name: string) => query.has(name);
  if (key === '' && method === 'GET') {
    if (has('uploads')) return 'ListMultipartUploads';
    if (has('versioning')) return 'GetBucketVersioning';
    if (has('worm')) return 'GetBucketWorm';
    if (has('lifecycle')) return 'GetBucketLifecycle';
    if (query.get('list-type') === '2') return 'ListObjectsV2';
  }
  if (key !== '') {
    if (method === 'PUT') return has('uploadId') ? 'UploadPart' : 'PutObject';
    if (method === 'POST' && has('uploads')) return 'InitiateMultipartUpload';
    if (method === 'POST' && has('uploadId')) return 'CompleteMultipartUpload';
    if (method === 'DELETE') return has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject';
    if (method === 'GET') return 'GetObject';
    if (method === 'HEAD') return 'HeadObject';
  }
  throw new OssFailure(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented.');
}

/** The RAM action and resource of an operation. */
export function wishOf(operation: Operation, bucket: string, { key, query }: OssRequest, secure: boolean): Wish {
  const action = {
    HeadObject: 'GetObject',
    InitiateMultipartUpload: 'PutObject',
    UploadPart: 'PutObject',
    CompleteMultipartUpload: 'PutObject',
    ListObjectsV2: 'ListObjects',
  }[operation as string];
  const deletesVersion = operation === 'DeleteObject' && query.has('versionId');
  return {
    action: `oss:${deletesVersion ? 'DeleteObjectVersion' : (action ?? operation)}`,
    resource: key === '' ? bucket : `${bucket}/${key}`,
    values: { 'oss:Prefix': query.get('prefix') ?? '', 'acs:SecureTransport': String(secure) },
  };
}
