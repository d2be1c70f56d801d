import type { Version } from './bucket.ts';
import { invalidArgument, OssFailure } from './failure.ts';
import type { Answer, Context } from './objects.ts';
import type { OssRequest } from './request.ts';
import { xml } from './xml.ts';

export async function listObjects({ bucket, request }: Context): Promise<Answer> {
  const { prefix, encode, limit } = paged(request, 'max-keys', 100);
  const token = request.query.get('continuation-token');
  const after = token == null ? (request.query.get('start-after') ?? '') : Buffer.from(token, 'base64').toString();
  const keys = bucket.keys().filter((key) => key.startsWith(prefix) && before(after, key));
  const page = keys.slice(0, limit);
  const more = keys.length > page.length;
  const content = {
    Name: bucket.name,
    Prefix: encode(prefix),
    MaxKeys: limit,
    EncodingType: request.query.get('encoding-type') ?? undefined,
    StartAfter: request.query.has('start-after') ? encode(request.query.get('start-after') ?? '') : undefined,
    IsTruncated: more,
    KeyCount: page.length,
    NextContinuationToken: more ? Buffer.from(page.at(-1) as string).toString('base64') : undefined,
    Contents: page.map((key) => {
      const version = bucket.current(key) as Version;
      return {
        Key: encode(key),
        LastModified: version.modified.toISOString(),
        ETag: `"${version.etag}"`,
        Type: 'Normal',
        Size: version.body?.bytes,
        StorageClass: version.storageClass,
      };
    }),
  };
  return { status: 200, headers: {}, body: xml('ListBucketResult', content) };
}

export async function listMultipartUploads({ bucket, request }: Context): Promise<Answer> {
  const { prefix, encode, limit } = paged(request, 'max-uploads', 1000);
  const keyMarker = request.query.get('key-marker') ?? '';
  const idMarker = request.query.get('upload-id-marker') ?? '';
  const uploads = [...bucket.uploads.values()]
    .filter(({ key, id }) => {
      if (!key.startsWith(prefix)) return false;
      return before(keyMarker, key) || (key === keyMarker && idMarker !== '' && id > idMarker);
    })
    .sort((a, b) => (a.key === b.key ? (a.id < b.id ? -1 : 1) : before(a.key, b.key) ? -1 : 1));
  const page = uploads.slice(0, limit);
  const more = uploads.length > page.length;
  const content = {
    Bucket: bucket.name,
    EncodingType: request.query.get('encoding-type') ?? undefined,
    KeyMarker: encode(keyMarker),
    UploadIdMarker: idMarker,
    NextKeyMarker: more ? encode(page.at(-1)?.key as string) : '',
    NextUploadIdMarker: more ? page.at(-1)?.id : '',
    MaxUploads: limit,
    IsTruncated: more,
    Upload: page.map(({ key, id, startedAt }) => ({
      Key: encode(key),
      UploadId: id,
      Initiated: startedAt.toISOString(),
    })),
  };
  return { status: 200, headers: {}, body: xml('ListMultipartUploadsResult', content) };
}

export async function getBucketVersioning({ bucket }: Context): Promise<Answer> {
  const content = { Status: bucket.versioning === 'off' ? undefined : bucket.versioning };
  return { status: 200, headers: {}, body: xml('VersioningConfiguration', content) };
}

export async function getBucketWorm({ bucket }: Context): Promise<Answer> {
  if (bucket.worm === undefined)
    throw new OssFailure(404, 'NoSuchWORMConfiguration', 'The WORM Configuration does not exist.');
  const content = {
    WormId: '1666E2CFB2B3418',
    State: bucket.worm.state,
    RetentionPeriodInDays: bucket.worm.days,
    CreationDate: '2026-01-01T00:00:00.000Z',
  };
  return { status: 200, headers: {}, body: xml('WormConfiguration', content) };
}

export async function getBucketLifecycle({ bucket }: Context): Promise<Answer> {
  if (bucket.lifecycle === undefined) throw new OssFailure(404, 'NoSuchLifecycle', 'No Row found in Lifecycle Table.');
  return { status: 200, headers: {}, body: bucket.lifecycle };
}

function paged({ query }: OssRequest, limitName: string, usual: number) {
  const limit = Number(query.get(limitName) ?? usual);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw invalidArgument(`${limitName} must be 1 to 1000.`);
  if (query.has('delimiter')) throw new OssFailure(501, 'NotImplemented', 'The test server knows no delimiter.');
  const encoding = query.get('encoding-type');
  if (encoding !== undefined && encoding !== 'url') throw invalidArgument('Invalid Encoding Method specified.');
  const encode = (text: string) => (encoding === 'url' ? encodeURIComponent(text) : text);
  return { prefix: query.get('prefix') ?? '', encode, limit };
}

/** In byte order. */
const before = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
