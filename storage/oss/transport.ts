import { readFileSync } from 'node:fs';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import { abortReason, throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import { idleMs } from '../bucket/bucket.ts';

/** What the SDK hands to its HTTP client, as far as it is used here. */
type SdkRequest = {
  method: string;
  headers: Record<string, string>;
  content?: string | Buffer;
  stream?: Readable | null;
  /** The caller wants the body as a stream. */
  customResponse?: boolean;
};

type SdkResponse = { status: number; headers: IncomingMessage['headers']; data: Buffer; res: unknown };

/** What came back, as it was; the SDK's errors hold only a part of it. */
export type Answer = { status: number; headers: IncomingMessage['headers']; body: Buffer };

/** A listing of a thousand long keys has a megabyte; whatever sends more is no OSS. */
const maxAnswerBytes = 16 << 20;

/** Connections to one store, kept and used again. How many there are is decided by who sends requests. */
export class Connections {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;

  /** @param ca file of a certificate authority to trust besides the usual ones. */
  constructor(ca?: string) {
    const options = { keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo', timeout: idleMs } as const;
    this.http = new HttpAgent(options);
    this.https = new HttpsAgent({
      ...options,
      ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), pem(ca)] }),
    });
  }
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new PgproofError('store-misconfigured', `cannot read the certificate authority '${path}': ${errno}`, {
      facts: { path, errno },
      cause,
    });
  }
}

/**
 * The HTTP client that the SDK is given for one call. Its own one knows no AbortSignal, trusts no further authority, and loses
 * what the store answered; this one ends with the signal and keeps the answer.
 */
export class Exchange {
  answer: Answer | undefined;
  /** Why no answer came. */
  failure: Error | undefined;
  readonly startedAt = Date.now();
  readonly #connections: Connections;
  readonly #signal: AbortSignal;
  readonly #idleMs: number;

  /** @param silenceMs how long nothing may move, from the beginning of the connection on. */
  constructor(connections: Connections, signal: AbortSignal, silenceMs: number = idleMs) {
    this.#connections = connections;
    this.#signal = signal;
    this.#idleMs = silenceMs;
  }

  /** The SDK's `urllib.request`. */
  async request(url: string, request: SdkRequest): Promise<SdkResponse> {
    try {
      const response = await this.#send(url, request);
      const status = response.statusCode as number;
      const { headers } = response;
      const streamed = request.customResponse === true && status < 300;
      const body = streamed ? Buffer.alloc(0) : await whole(response);
      this.answer = { status, headers, body };
      return { status, headers, data: body, res: streamed ? response : { status, headers, resume() {} } };
    } catch (error) {
      this.failure = error as Error;
      throw error;
    }
  }

  #send(url: string, { method, headers, content, stream, customResponse }: SdkRequest): Promise<IncomingMessage> {
    const signal = this.#signal;
    throwIfAborted(signal);
    const secure = url.startsWith('https:');
    const agent = secure ? this.#connections.https : this.#connections.http;
    const length = content === undefined ? {} : { 'content-length': Buffer.byteLength(content) };
    const timeout = this.#idleMs;
    const sending = { method, headers: { ...headers, ...(stream ? {} : length) }, agent, timeout };
    const outgoing: ClientRequest = secure ? httpsRequest(url, sending) : httpRequest(url, sending);
    const onAbort = () => void outgoing.destroy(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    outgoing.once('close', () => signal.removeEventListener('abort', onAbort));
    outgoing.on('timeout', () => void outgoing.destroy(new Error(`nothing moved for ${timeout / 1000} s`)));
    return new Promise((resolve, reject) => {
      // The listener stays: a request that was answered can still fail, and then the body says so.
      outgoing.on('error', reject);
      outgoing.once('response', (response) => {
        // A body that nobody reads for a while is not a connection on which nothing moves.
        if (customResponse) outgoing.setTimeout(0);
        resolve(response);
      });
      if (stream) pipeline(stream, outgoing, (error) => error && reject(error));
      else outgoing.end(content);
    });
  }
}

async function whole(response: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxAnswerBytes) throw new Error(`an answer of more than ${maxAnswerBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, bytes);
}
