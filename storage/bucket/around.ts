import type { Bucket, Call } from './bucket.ts';

export type Operation = Exclude<keyof Bucket, symbol>;

/** One request on its way to the bucket. `bytes` are what it sends as a body. */
export type Request<T> = {
  operation: Operation;
  key: string;
  bytes: number;
  call: Call;
  send: (call: Call) => Promise<T>;
};

/** What is done around each request: it sends it once, several times, later, or not at all. */
export type Around = <T>(request: Request<T>) => Promise<T>;

/** The bucket, with something done around each of its requests. */
export function around(bucket: Bucket, handle: Around): Bucket {
  const request = <T>(operation: Operation, key: string, call: Call, send: (call: Call) => Promise<T>, bytes = 0) =>
    handle({ operation, key, bytes, call, send });
  return {
    put: (key, bytes, call) => request('put', key, call, (inner) => bucket.put(key, bytes, inner), bytes.length),
    begin: (key, call) => request('begin', key, call, (inner) => bucket.begin(key, inner)),
    putPart: (key, upload, number, bytes, call) =>
      request('putPart', key, call, (inner) => bucket.putPart(key, upload, number, bytes, inner), bytes.length),
    complete: (key, upload, receipts, call) =>
      request('complete', key, call, (inner) => bucket.complete(key, upload, receipts, inner)),
    abort: (key, upload, call) => request('abort', key, call, (inner) => bucket.abort(key, upload, inner)),
    uploads: (prefix, after, call) => request('uploads', prefix, call, (inner) => bucket.uploads(prefix, after, inner)),
    head: (key, call) => request('head', key, call, (inner) => bucket.head(key, inner)),
    get: (key, range, call) => request('get', key, call, (inner) => bucket.get(key, range, inner)),
    list: (prefix, after, call) => request('list', prefix, call, (inner) => bucket.list(prefix, after, inner)),
    remove: (key, call) => request('remove', key, call, (inner) => bucket.remove(key, inner)),
    inspect: (prefix, call) => request('inspect', prefix, call, (inner) => bucket.inspect(prefix, inner)),
  };
}
