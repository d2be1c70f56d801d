import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { idleMs } from '../bucket/bucket.ts';

/** What Amazon's SDK hands over to be sent. */
type SdkRequest = {
  method: string;
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  query: Record<string, string | string[] | null>;
  headers: Record<string, string>;
  body?: Uint8Array | string;
};
type SdkResponse = { statusCode: number; reason?: string; headers: Record<string, string>; body: IncomingMessage };

/** Below this a refusal costs less than asking for it. */
const worthAsking = 256 << 10;
const sliceBytes = 256 << 10;
/** A store that has not said "continue" by then knows no such word. */
const continueMs = 1000;

/**
 * The SDK's way to the network, in place of its own: that one opens a connection for each body which is announced by
 * `Expect: 100-continue`, and without the announcement a store that refuses (a token that expired) closes in the middle of the
 * body, so that its answer is lost and looks like a broken network. A request on which nothing moves for `idleMs` is ended.
 */
export class Http {
  readonly metadata = { handlerProtocol: 'http/1.1' };
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  #continues = true;
  /** Seconds by which the store's clock is ahead of ours, by its last answer; it tells whole ones. */
  clockAheadSeconds: number | undefined;

  /** @param ca PEM texts to trust. @param spare connections that are kept for the next request. */
  constructor({ ca, spare }: { ca: string[] | undefined; spare: number }) {
    const options = { keepAlive: true, maxFreeSockets: spare, scheduling: 'lifo' as const };
    this.#http = new HttpAgent(options);
    this.#https = new HttpsAgent({ ...options, ...(ca === undefined ? {} : { ca }) });
  }

  async handle(sdkRequest: unknown, { abortSignal }: { abortSignal?: AbortSignal | undefined } = {}) {
    const request = sdkRequest as SdkRequest;
    abortSignal?.throwIfAborted();
    return { response: await this.#send(request, abortSignal) };
  }

  destroy(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  /** Of the SDK's interface; ours has nothing to configure afterwards. */
  updateHttpClientConfig(): void {}
  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  #send(request: SdkRequest, signal: AbortSignal | undefined): Promise<SdkResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<SdkResponse>();
    const asks = this.#continues && (request.body?.length ?? 0) >= worthAsking;
    const sent = this.#open(request, asks);
    let response: IncomingMessage | undefined;
    const end = (error: Error) => {
      response?.destroy(error);
      sent.destroy(error);
    };
    const onAbort = () => end(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    sent.setTimeout(idleMs, () => {
      // What was read and not yet taken waits for its reader, not for the store.
      if ((response?.readableLength ?? 0) === 0) end(silence());
    });
    sent.once('error', reject);
    sent.once('close', () => signal?.removeEventListener('abort', onAbort));
    sent.once('response', (message: IncomingMessage) => {
      response = message;
      this.#compareClock(message.headers.date);
      // A body that was refused stays unsent: the connection is of no use any more.
      if (!sent.writableEnded) message.once('end', () => sent.destroy());
      resolve({
        statusCode: message.statusCode ?? 0,
        ...(message.statusMessage === undefined ? {} : { reason: message.statusMessage }),
        headers: plain(message),
        body: message,
      });
    });
    if (asks) this.#sendWhenAsked(sent, request.body);
    else writeBody(sent, request.body);
    return promise;
  }

  #compareClock(date: string | undefined): void {
    const theirs = Date.parse(date ?? '');
    if (!Number.isNaN(theirs)) this.clockAheadSeconds = Math.round((theirs - Date.now()) / 1000);
  }

  #open({ method, protocol, hostname, port, path, query, headers }: SdkRequest, asks: boolean): ClientRequest {
    const text = queryText(query);
    const options = {
      method,
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      path: text === '' ? path : `${path}?${text}`,
      headers: asks ? { ...headers, expect: '100-continue' } : headers,
      ...(port === undefined ? {} : { port }),
    };
    if (protocol === 'https:') return requestHttps({ ...options, agent: this.#https });
    return requestHttp({ ...options, agent: this.#http });
  }

  #sendWhenAsked(sent: ClientRequest, body: SdkRequest['body']): void {
    let begun = false;
    const send = () => {
      clearTimeout(timer);
      if (!begun) writeBody(sent, body);
      begun = true;
    };
    const timer = setTimeout(() => {
      this.#continues = false;
      send();
    }, continueMs);
    sent.once('continue', send);
    sent.once('response', () => clearTimeout(timer));
    sent.once('close', () => clearTimeout(timer));
  }
}

/** In slices, so that an answer which comes before the end is read before the next write would fail: then nothing more is sent. */
function writeBody(sent: ClientRequest, body: SdkRequest['body']): void {
  if (!(body instanceof Uint8Array)) return void sent.end(body);
  let answered = false;
  sent.once('response', () => {
    answered = true;
  });
  let at = 0;
  const write = () => {
    while (!answered && !sent.destroyed) {
      const slice = body.subarray(at, at + sliceBytes);
      at += sliceBytes;
      if (at >= body.length) return void sent.end(slice);
      if (!sent.write(slice)) return void sent.once('drain', write);
    }
  };
  write();
}

function silence(): Error {
  return Object.assign(new Error(`nothing moved for ${idleMs / 1000} s`), { code: 'ETIMEDOUT' });
}

function plain({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

/** As the signature expects it: sorted, and escaped more strictly than encodeURIComponent does. */
function queryText(query: SdkRequest['query']): string {
  const escaped = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return Object.keys(query)
    .sort()
    .flatMap((name) => {
      const value = query[name] ?? '';
      return (Array.isArray(value) ? value : [value]).map((each) => `${escaped(name)}=${escaped(each)}`);
    })
    .join('&');
}
