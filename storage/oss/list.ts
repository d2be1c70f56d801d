import type { Call, Upload } from '../bucket/bucket.ts';
import type { StoredObject } from '../store.ts';
import { sizeOf, strange } from './answers.ts';
import type { Caller } from './caller.ts';

/** At most 1,000 objects with keys behind `after`. */
export async function listObjects(
  caller: Caller,
  prefix: string,
  after: string | undefined,
  call: Call,
): Promise<{ objects: StoredObject[]; next?: string }> {
  const query = {
    'max-keys': '1000',
    'encoding-type': 'url',
    ...under(prefix),
    ...(after === undefined ? {} : { 'start-after': after }),
  };
  const asked = { action: 'oss:ListObjects', doing: `list objects below '${prefix}'`, key: '' };
  const exchange = caller.exchange(call);
  const page = await caller.call(asked, call, (client) => client.listV2(query), undefined, exchange);
  const objects = page.objects.map(({ name, size }) => ({ key: decoded(name), bytes: sizeOf(name, size) }));
  // The SDK takes an answer that does not say whether it is whole for the last.
  if (!exchange.answer?.body.includes('<IsTruncated>')) throw strange(prefix, 'a page without its end');
  if (!page.isTruncated) return { objects };
  const last = objects.at(-1);
  if (last === undefined) throw strange(prefix, 'an empty page that is not the last');
  return { objects, next: last.key };
}

/** At most 1,000 unfinished uploads, those behind `after`. */
export async function listUploads(
  caller: Caller,
  prefix: string,
  after: string | undefined,
  call: Call,
): Promise<{ uploads: Upload[]; next?: string }> {
  const [keyMarker, idMarker] = after?.split(' ') ?? [];
  const query = {
    'max-uploads': '1000',
    'encoding-type': 'url',
    ...under(prefix),
    ...(keyMarker === undefined ? {} : { 'key-marker': decoded(keyMarker) }),
    ...(idMarker === undefined ? {} : { 'upload-id-marker': idMarker }),
  };
  const asked = { action: 'oss:ListMultipartUploads', doing: `list uploads below '${prefix}'`, key: '' };
  const page = await caller.call(asked, call, (client) => client.listUploads(query));
  const uploads = page.uploads.map(({ name, uploadId, initiated }) => ({
    key: decoded(name),
    upload: uploadId,
    startedAt: new Date(initiated),
  }));
  if (!page.isTruncated) return { uploads };
  if (!page.nextKeyMarker || !page.nextUploadIdMarker) throw strange(prefix, 'a page without the next one');
  return { uploads, next: `${page.nextKeyMarker} ${page.nextUploadIdMarker}` };
}

function under(prefix: string): Record<string, string> {
  // A parameter without a value is signed in two ways.
  return prefix === '' ? {} : { prefix };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    throw strange(text, 'a key that is not encoded');
  }
}
