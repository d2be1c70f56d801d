import { type Body, bytesOf, receive } from './body.ts';
import type { Kept, OssBucket, Version } from './bucket.ts';
import { invalidArgument, OssFailure } from './failure.ts';
import { flipped, type OssFault } from './faults.ts';
import type { OssRequest } from './request.ts';
import { xml } from './xml.ts';

export type Answer = {
  status: number;
  headers: Record<string, string>;
  body?: string | AsyncGenerator<Buffer>;
};

export type Context = { bucket: OssBucket; request: OssRequest; folder: string; fault: OssFault | undefined };

const storageClasses = ['Standard', 'IA', 'Archive', 'ColdArchive', 'DeepColdArchive'];
const encryptions = ['AES256', 'KMS', 'SM4'];

export async function putObject({ bucket, request, folder, fault }: Context): Promise<Answer> {
  const kept = keptOf(request);
  const forbid = forbidsOverwrite(request);
  bucket.assertWritable(request.key, forbid);
  const body = await received(request, folder, fault);
  const etag = body.md5.toString('hex').toUpperCase();
  const version = bucket.put(request.key, body, etag, kept, forbid);
  return { status: 200, headers: { ...versionHeaders(version), 'x-oss-hash-crc64ecma': body.crc64 } };
}

export async function getObject({ bucket, request, fault }: Context): Promise<Answer> {
  const version = readable(bucket, request);
  const whole = { from: 0, to: version.body.bytes - 1 };
  const asked = rangeOf(request, version.body.bytes);
  const legacy = request.headers.get('x-oss-range-behavior') !== 'standard' || fault?.kind === 'legacy-range';
  let range = fault?.kind === 'legacy-range' ? undefined : asked;
  if (range === 'invalid') {
    if (!legacy)
      throw new OssFailure(416, 'InvalidRange', 'The requested range cannot be satisfied.', {
        elements: { ActualObjectSize: String(version.body.bytes), RangeRequested: request.headers.get('range') ?? '' },
      });
    range = undefined;
  }
  // Without the header that asks for the standard, a range that ends behind the object answers the whole of it.
  if (range?.clamped && legacy) range = undefined;
  const { from, to } = range ?? whole;
  const shift = fault?.kind === 'wrong-range' ? 1 : 0;
  const contentRange = `bytes ${from + shift}-${to + shift}/${version.body.bytes}`;
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...objectHeaders(version),
      'content-length': String(to - from + 1),
      ...(range === undefined ? {} : { 'content-range': contentRange }),
    },
    body: bytesOf(version.body, from + shift, to - from + 1),
  };
}

export async function headObject({ bucket, request }: Context): Promise<Answer> {
  const version = bucket.get(request.key);
  return { status: 200, headers: { ...objectHeaders(version), 'content-length': String(version.body.bytes) } };
}

export async function deleteObject({ bucket, request }: Context): Promise<Answer> {
  const marker = bucket.delete(request.key, request.query.get('versionId') ?? undefined);
  const headers = marker === undefined ? {} : { ...versionHeaders(marker), 'x-oss-delete-marker': 'true' };
  return { status: 204, headers };
}

export async function initiateMultipartUpload({ bucket, request }: Context): Promise<Answer> {
  bucket.assertWritable(request.key, forbidsOverwrite(request));
  const upload = bucket.initiate(request.key, keptOf(request));
  const content = { Bucket: bucket.name, Key: request.key, UploadId: upload.id };
  return { status: 200, headers: {}, body: xml('InitiateMultipartUploadResult', content) };
}

export async function uploadPart({ bucket, request, folder, fault }: Context): Promise<Answer> {
  refuseEncryption(request);
  const number = Number(request.query.get('partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > 10_000)
    throw invalidArgument('Part number must be an integer between 1 and 10000, inclusive.');
  bucket.upload(request.key, request.query.get('uploadId') ?? '');
  const body = await received(request, folder, fault);
  const etag = body.md5.toString('hex').toUpperCase();
  bucket.upload(request.key, request.query.get('uploadId') ?? '').parts.set(number, { body, etag });
  return { status: 200, headers: { etag: `"${etag}"`, 'x-oss-hash-crc64ecma': body.crc64 } };
}

export async function completeMultipartUpload({ bucket, request, folder }: Context): Promise<Answer> {
  refuseEncryption(request);
  const body = await received(request, folder, undefined);
  let text = '';
  for await (const piece of bytesOf(body, 0, body.bytes)) text += piece.toString();
  const parts = [...text.matchAll(/<Part>\s*<PartNumber>(\d+)<\/PartNumber>\s*<ETag>(.*?)<\/ETag>\s*<\/Part>/g)];
  const wanted = parts.map(([, number, etag]) => ({
    number: Number(number),
    etag: (etag as string).replaceAll('&quot;', '').replaceAll('"', ''),
  }));
  const id = request.query.get('uploadId') ?? '';
  const version = bucket.complete(request.key, id, wanted, forbidsOverwrite(request));
  const content = {
    Location: `http://${bucket.name}.oss-${bucket.region}.aliyuncs.com/${request.key}`,
    Bucket: bucket.name,
    Key: request.key,
    ETag: `"${version.etag}"`,
  };
  const headers = { ...versionHeaders(version), 'x-oss-hash-crc64ecma': (version.body as Body).crc64 };
  return { status: 200, headers, body: xml('CompleteMultipartUploadResult', content) };
}

export async function abortMultipartUpload({ bucket, request }: Context): Promise<Answer> {
  const { id } = bucket.upload(request.key, request.query.get('uploadId') ?? '');
  bucket.uploads.delete(id);
  return { status: 204, headers: {} };
}

async function received(request: OssRequest, folder: string, fault: OssFault | undefined): Promise<Body> {
  if (!request.headers.has('content-length') && request.headers.get('transfer-encoding') !== 'chunked')
    throw new OssFailure(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  const body = await receive(request.raw, folder, (whole) => {
    if (fault?.kind === 'flip-stored') return flipped(whole, fault.at);
    return fault?.kind === 'shorten' ? whole.subarray(0, fault.bytes) : whole;
  });
  const digest = request.headers.get('content-md5');
  if (digest !== undefined && digest !== body.md5.toString('base64'))
    throw new OssFailure(400, 'InvalidDigest', 'The Content-MD5 you specified did not match what we received.');
  return body;
}

function keptOf({ headers }: OssRequest): Kept {
  const storageClass = headers.get('x-oss-storage-class') ?? 'Standard';
  if (!storageClasses.includes(storageClass)) throw invalidArgument('The storage class is invalid.');
  const encryption = headers.get('x-oss-server-side-encryption');
  if (encryption !== undefined && !encryptions.includes(encryption))
    throw new OssFailure(400, 'InvalidEncryptionAlgorithmError', 'The encryption algorithm is invalid.');
  const kmsKeyId = headers.get('x-oss-server-side-encryption-key-id');
  if (kmsKeyId !== undefined && encryption !== 'KMS')
    throw invalidArgument('x-oss-server-side-encryption-key-id needs x-oss-server-side-encryption: KMS.');
  return { storageClass, encryption, kmsKeyId };
}

/** The header belongs to what makes an object, not to its parts. */
function refuseEncryption({ headers }: OssRequest): void {
  if (headers.has('x-oss-server-side-encryption'))
    throw invalidArgument('The request should not contain the x-oss-server-side-encryption header.');
}

const forbidsOverwrite = ({ headers }: OssRequest) => headers.get('x-oss-forbid-overwrite') === 'true';

function readable(bucket: OssBucket, request: OssRequest): Version & { body: Body } {
  const version = bucket.get(request.key);
  if (version.storageClass === 'Standard' || version.storageClass === 'IA') return version;
  throw new OssFailure(403, 'InvalidObjectState', "The operation is not valid for the object's state");
}

function rangeOf(
  { headers }: OssRequest,
  bytes: number,
): { from: number; to: number; clamped: boolean } | 'invalid' | undefined {
  const header = headers.get('range');
  if (header === undefined) return undefined;
  const match = /^bytes=(\d+)-(\d+)$/.exec(header);
  if (match === null) return 'invalid';
  const [from, to] = match.slice(1).map(Number) as [number, number];
  if (from > to || from >= bytes) return 'invalid';
  return { from, to: Math.min(to, bytes - 1), clamped: to >= bytes };
}

function versionHeaders({ etag, versionId }: Version): Record<string, string> {
  return {
    ...(etag === '' ? {} : { etag: `"${etag}"` }),
    ...(versionId === undefined ? {} : { 'x-oss-version-id': versionId }),
  };
}

function objectHeaders(version: Version & { body: Body }): Record<string, string> {
  return {
    ...versionHeaders(version),
    'x-oss-hash-crc64ecma': version.body.crc64,
    'x-oss-object-type': version.etag.includes('-') ? 'Multipart' : 'Normal',
    'x-oss-storage-class': version.storageClass,
    'last-modified': version.modified.toUTCString(),
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    ...(version.encryption === undefined ? {} : { 'x-oss-server-side-encryption': version.encryption }),
  };
}
