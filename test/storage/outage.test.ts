import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Limiter, type Limits, limited } from '../../storage/bucket/limit.ts';
import { metered, StoreMetrics } from '../../storage/bucket/metrics.ts';
import { Patience, type RetryPolicy, retrying, retryPolicy } from '../../storage/bucket/retry.ts';
import { type BucketStore, openBucketStore } from '../../storage/bucket/store.ts';
import { type RequestTimeouts, requestTimeouts, timed } from '../../storage/bucket/timeout.ts';
import type { Mishap } from '../support/misbehaving.ts';
import { type Peer, type Server, servers } from './peers.ts';

/** S3 takes no smaller parts. */
const pieceBytes = 5 << 20;
const quick: RetryPolicy = { ...retryPolicy, firstMs: 1, longestMs: 10, longestAskedMs: 10, shortPatienceMs: 20_000 };

/** A store as `openStore` makes it, with waits that a test can bear, and what it counts. */
function storeOn(
  { bucket, prefix }: Peer,
  more: { policy?: Partial<RetryPolicy>; limits?: Limits; timeouts?: Partial<RequestTimeouts> } = {},
): { store: BucketStore; metrics: StoreMetrics; limiter: Limiter } {
  const metrics = new StoreMetrics();
  const limiter = new Limiter(more.limits ?? { parallel: 8 });
  const requests = limited(timed(metered(bucket, metrics), { ...requestTimeouts, ...more.timeouts }), limiter);
  const policy = { ...quick, ...more.policy };
  const patience = new Patience();
  const whole = retrying(requests, { policy, patience, onRetry: () => metrics.retried() });
  return { store: openBucketStore(whole, { prefix, pieceBytes }), metrics, limiter };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const contentOf = async (store: BucketStore, key: string) => buffer(await store.read(key));
const keysIn = async (store: BucketStore) => {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
};

describe.each(servers)('scenario 11: a store behind a bad network, %s:', (_, start) => {
  let server: Server;
  let peer: Peer;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.close());
  beforeEach(async () => {
    peer = await server.open();
  });

  test.each<[string, Mishap]>([
    ['500', { kind: 'status', status: 500 }],
    ['502', { kind: 'status', status: 502 }],
    ['503 SlowDown', { kind: 'status', status: 503 }],
    ['503 with Retry-After', { kind: 'status', status: 503, retryAfter: 1 }],
    ['429', { kind: 'status', status: 429 }],
    ['408', { kind: 'status', status: 408 }],
    ['a connection that is reset', { kind: 'reset' }],
  ])('%s is waited out by every operation', async (_, mishap) => {
    const { store, metrics } = storeOn(peer);
    const outage = () => peer.network.rules.unshift({ mishap, times: 3 });
    outage();
    await store.create('a/small', Buffer.from('small'));
    outage();
    const large = randomBytes(pieceBytes + 1000);
    expect(await store.create('a/large', Readable.from([large]))).toMatchObject({ sha256: sha256(large) });
    outage();
    expect((await contentOf(store, 'a/small')).toString()).toBe('small');
    outage();
    expect(await keysIn(store)).toEqual(['a/large', 'a/small']);
    outage();
    await store.remove('a/large');
    expect(await keysIn(store)).toEqual(['a/small']);
    const { retries, errorsByCode } = metrics.snapshot();
    expect(retries).toBeGreaterThanOrEqual(10);
    expect(errorsByCode['store-unreachable']).toBe(retries);
  });

  test('a store that hangs without an answer is asked again', async () => {
    const { store } = storeOn(peer, { timeouts: { requestMs: 300, slowestBytesPerSecond: 1e9 } });
    peer.network.rules.push({ mishap: { kind: 'hang' }, times: 2 });
    await store.create('a', Buffer.from('small'));
    peer.network.rules.push({ mishap: { kind: 'hang' }, times: 1 });
    expect((await contentOf(store, 'a')).toString()).toBe('small');
  });

  test('whoever waits for a store that hangs is let go when told to', async () => {
    const { store } = storeOn(peer);
    peer.network.rules.push({ mishap: { kind: 'hang' } });
    const abort = new AbortController();
    const waiting = [
      store.create('a', Buffer.from('small'), { signal: abort.signal }),
      store.read('a', { signal: abort.signal }),
      store.remove('a', { signal: abort.signal }),
    ];
    await expect.poll(() => peer.network.seen.length).toBeGreaterThanOrEqual(3);
    abort.abort(new DOMException('over', 'TimeoutError'));
    for (const each of await Promise.allSettled(waiting))
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'timeout' } });
  });

  test('an outage that lasts is an error which says how often, with what the store said; then patience is short', async () => {
    const { store } = storeOn(peer, { policy: { patienceMs: 300, shortPatienceMs: 0 } });
    await store.create('a', Buffer.from('small'));
    // Time passes by requests, each of which takes twice as long as the one before: nine are begun within 300 ms.
    const earlier = peer.network.seen.length;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => 2 ** (peer.network.seen.length - earlier));
    onTestFinished(() => clock.mockRestore());
    peer.network.rules.push({ mishap: { kind: 'status', status: 503, retryAfter: 7 } });
    const error = await store.read('a').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'store-unreachable', permanent: false });
    expect(error).toMatchObject({ facts: { status: 503, storeCode: 'SlowDown', retryAfterSeconds: 7 } });
    expect((error as { facts: { attempts: number } }).facts.attempts).toBe(9);

    const before = peer.network.seen.length;
    await expect(store.read('a')).rejects.toMatchObject({ code: 'store-unreachable' });
    expect(peer.network.seen.length - before).toBe(1);
    peer.network.rules.length = 0;
    expect((await contentOf(store, 'a')).toString()).toBe('small');
  });

  test('what waiting does not mend is not tried again', async () => {
    const { store, metrics } = storeOn(peer);
    peer.network.rules.push({ mishap: { kind: 'status', status: 403 } });
    await expect(store.read('a')).rejects.toMatchObject({ code: 'store-denied' });
    await expect(store.create('a', Buffer.from('x'))).rejects.toMatchObject({ code: 'store-denied' });
    expect(metrics.snapshot().retries).toBe(0);
  });

  test('a certificate that nobody trusts is named, and not tried again', async () => {
    const { store, metrics } = storeOn(await server.open({ tls: true }));
    await expect(store.read('a')).rejects.toMatchObject({ code: 'store-misconfigured', permanent: true });
    await expect(store.create('a', Buffer.from('x'))).rejects.toMatchObject({ code: 'store-misconfigured' });
    expect(metrics.snapshot().retries).toBe(0);
  });

  test('a put whose answer is lost is a success: what is there is compared', async () => {
    const { store } = storeOn(peer);
    peer.network.rules.push({ method: 'PUT', mishap: { kind: 'lose-answer' }, times: 1 });
    const body = Buffer.from('taken, and not acknowledged');
    expect(await store.create('a', body)).toEqual({ bytes: body.length, sha256: sha256(body) });
    expect(await contentOf(store, 'a')).toEqual(body);
    // Nobody else's object is taken for ours because of that.
    await expect(store.create('a', body)).rejects.toMatchObject({ code: 'object-exists' });
    peer.network.rules.push({ method: 'PUT', mishap: { kind: 'reset' }, times: 1 });
    const other = Buffer.from('taken, and not acknowledge!');
    await expect(store.create('a', other)).rejects.toMatchObject({ code: 'object-exists' });
    expect(await contentOf(store, 'a')).toEqual(body);
  });

  test('an upload whose last answer is lost is a success, and one that another overtook is not', async () => {
    const { store } = storeOn(peer);
    const body = randomBytes(pieceBytes + 1000);
    const completing = { method: 'POST', url: /uploadId=/ };
    peer.network.rules.push({ ...completing, mishap: { kind: 'lose-answer' }, times: 1 });
    expect(await store.create('a', Readable.from([body]))).toEqual({ bytes: body.length, sha256: sha256(body) });
    expect((await contentOf(store, 'a')).equals(body)).toBe(true);

    const overtake = Promise.withResolvers<void>();
    peer.network.rules.push({ ...completing, mishap: { kind: 'hold', until: overtake.promise }, times: 1 });
    const late = store.create('b', Readable.from([randomBytes(pieceBytes + 1000)]));
    await expect
      .poll(
        () =>
          peer.network.seen.filter((line) => completing.url.test(line) && /\bb\?/.test(line) && line.startsWith('POST'))
            .length,
      )
      .toBe(1);
    await store.create('b', body);
    overtake.resolve();
    await expect(late).rejects.toMatchObject({ code: 'object-exists' });
    expect((await contentOf(store, 'b')).equals(body)).toBe(true);
    expect(await unfinished(peer)).toEqual([]);
  });

  test('a read that breaks is taken up again where it broke, and is whole', async () => {
    const { store, metrics } = storeOn(peer);
    const body = randomBytes(3 << 20);
    await store.create('a', body);
    const broken: Mishap = { kind: 'cut', bytes: 700_000 };
    peer.network.rules.push({ method: 'GET', mishap: broken, times: 3 });
    expect((await contentOf(store, 'a')).equals(body)).toBe(true);
    peer.network.rules.push({ method: 'GET', mishap: broken, times: 1 });
    const range = { offset: 1000, length: 2 << 20 };
    expect((await buffer(await store.read('a', { range }))).equals(body.subarray(1000, 1000 + (2 << 20)))).toBe(true);
    expect(metrics.snapshot().operations.get?.requests).toBe(4 + 2);
  });

  test('a read that breaks again and again without coming on fails, and never ends short', async () => {
    const { store } = storeOn(peer);
    await store.create('a', randomBytes(3 << 20));
    peer.network.rules.push({ method: 'GET', mishap: { kind: 'cut', bytes: 1000 } });
    await expect(contentOf(store, 'a').then(({ length }) => length)).rejects.toMatchObject({
      code: 'store-unreachable',
    });
    expect(peer.network.seen.filter((line) => line.startsWith('GET')).length).toBeLessThan(10);
  });

  test('an object that is another one when the read goes on is not joined to what was read', async () => {
    const { store } = storeOn(peer);
    const first = randomBytes(3 << 20);
    await store.create('a', first);
    peer.network.rules.push({ method: 'GET', mishap: { kind: 'cut', bytes: 700_000 }, times: 1 });
    const go = Promise.withResolvers<void>();
    peer.network.rules.push({ method: 'GET', mishap: { kind: 'hold', until: go.promise }, times: 1 });
    const reading = contentOf(store, 'a').then(({ length }) => length);
    await expect.poll(() => peer.network.seen.filter((line) => line.startsWith('GET')).length).toBe(2);
    await store.remove('a');
    await store.create('a', randomBytes(3 << 20));
    go.resolve();
    await expect(reading).rejects.toMatchObject({ code: 'object-damaged' });
  });

  test('a store that says SlowDown is asked by half as many at once, and by more again when it answers', async () => {
    const { store, limiter } = storeOn(peer);
    peer.network.rules.push({ mishap: { kind: 'status', status: 503 }, times: 1 });
    await store.create('first', Buffer.from('x'));
    expect(limiter.parallel).toBe(4);
    peer.network.rules.push({ mishap: { kind: 'status', status: 429 }, times: 1 });
    await store.create('second', Buffer.from('x'));
    expect(limiter.parallel).toBe(2);
    for (let more = 0; more < 40; more += 1) await store.create(`more-${more}`, Buffer.from('x'));
    expect(limiter.parallel).toBe(8);
    // An outage is no overload.
    peer.network.rules.push({ mishap: { kind: 'status', status: 500 }, times: 1 });
    await store.create('third', Buffer.from('x'));
    expect(limiter.parallel).toBe(8);
  });

  test('no more requests are under way at once than the limit says', async () => {
    const { store } = storeOn(peer, { limits: { parallel: 3 } });
    await Promise.all(Array.from({ length: 30 }, (_, index) => store.create(`${index}`, Buffer.from('x'))));
    expect(await keysIn(store)).toHaveLength(30);
    expect(peer.network.mostAtOnce).toBeLessThanOrEqual(3);
  });

  test('bytes travel no faster than the limits say, in both directions', async () => {
    const { store } = storeOn(peer, { limits: { parallel: 8, upload: 1_000_000, download: 1_000_000 } });
    const startedAt = performance.now();
    // The first may go at once; what it took, the others wait for.
    await Promise.all(['a', 'b', 'c'].map((key) => store.create(key, randomBytes(100_000))));
    expect(performance.now() - startedAt).toBeGreaterThan(190);
    const readAt = performance.now();
    await Promise.all(['a', 'b', 'c'].map((key) => contentOf(store, key)));
    expect(performance.now() - readAt).toBeGreaterThan(150);
  });

  test('requests, bytes and errors are counted by operation', async () => {
    const { store, metrics } = storeOn(peer);
    await store.create('a', Buffer.from('0123456789'));
    await contentOf(store, 'a');
    await expect(store.read('none')).rejects.toMatchObject({ code: 'object-missing' });
    const figures = metrics.snapshot();
    expect(figures.operations.put).toMatchObject({ requests: 1, errors: 0, sentBytes: 10 });
    expect(figures.operations.get).toMatchObject({ requests: 2, errors: 1, receivedBytes: 10 });
    expect(figures.errorsByCode).toEqual({ 'object-missing': 1 });
    await store.create('b', Buffer.from('x'));
    expect(figures.operations.put?.requests).toBe(1);
  });
});

async function unfinished({ bucket, prefix }: Peer): Promise<string[]> {
  const page = await bucket.uploads(prefix, undefined, { signal: new AbortController().signal });
  return page.uploads.map(({ key }) => key);
}
