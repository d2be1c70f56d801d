import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';

/**
 * What happens to a request on its way: `status` is answered in the store's place · `reset` cuts the connection, and the
 * store learns nothing · `hang` never answers · `lose-answer` lets the store do it and cuts the connection · `cut` ends the
 * connection after so many bytes of the answer's body · `hold` passes it on when told to · `answer` is what the store says in
 * place of doing it · `flip` and `flip-sent` change the bit 0x01 of one byte of the answer's or the request's body · `hide`
 * leaves headers out of the answer.
 */
export type Mishap =
  | { kind: 'status'; status: number; retryAfter?: number }
  | { kind: 'reset' | 'hang' | 'lose-answer' }
  | { kind: 'cut'; bytes: number }
  | { kind: 'hold'; until: Promise<unknown> }
  | { kind: 'answer'; status: number; body: string; headers?: Record<string, string> }
  | { kind: 'flip' | 'flip-sent'; at: number }
  | { kind: 'hide'; headers: RegExp };

/**
 * @param url what its path and query contain. @param header what one of its headers says. @param every only each so-manieth of those. The first rule that fits decides,
 * and is used up by one.
 */
export type MishapRule = {
  method?: string;
  url?: RegExp;
  header?: [string, RegExp];
  times?: number;
  every?: number;
  mishap: Mishap;
};

/** A network between us and a store, as bad as its rules say. */
export type Misbehaving = {
  endpoint: string;
  rules: MishapRule[];
  /** `METHOD url` of every request, in order. */
  seen: string[];
  /** The most requests that were under way at once. */
  mostAtOnce: number;
  close(): Promise<void>;
};

/** @param tls PEM; then it speaks HTTPS, and plain HTTP to the store. */
export async function startMisbehaving(
  target: { host: string; port: number },
  tls?: { key: string; cert: string },
): Promise<Misbehaving> {
  const pass = (incoming: IncomingMessage, response: ServerResponse) => void serve(network, target, incoming, response);
  const listener = tls === undefined ? createServer(pass) : createTlsServer(tls, pass);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const network: Misbehaving & { underWay: number } = {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    rules: [],
    seen: [],
    mostAtOnce: 0,
    underWay: 0,
    async close() {
      listener.closeAllConnections();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
  return network;
}

async function serve(
  network: Misbehaving & { underWay: number },
  target: { host: string; port: number },
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [method, url] = [incoming.method as string, incoming.url as string];
  network.seen.push(`${method} ${url}`);
  network.underWay += 1;
  network.mostAtOnce = Math.max(network.mostAtOnce, network.underWay);
  response.once('close', () => {
    network.underWay -= 1;
  });
  incoming.on('error', () => {});
  response.on('error', () => {});
  const mishap = mishapFor(network.rules, incoming);
  if (mishap?.kind === 'hang') return void incoming.resume();
  if (mishap?.kind === 'reset') return void incoming.socket.resetAndDestroy();
  if (mishap?.kind === 'status') return refuse(incoming, response, mishap);
  if (mishap?.kind === 'answer') {
    incoming.resume();
    response.writeHead(mishap.status, { 'content-type': 'application/xml', ...mishap.headers });
    return void response.end(mishap.body);
  }
  if (mishap?.kind === 'hold') await mishap.until;
  forward(target, incoming, response, mishap);
}

function refuse(
  incoming: IncomingMessage,
  response: ServerResponse,
  { status, retryAfter }: { status: number; retryAfter?: number },
): void {
  incoming.resume();
  response.writeHead(status, {
    'content-type': 'application/xml',
    // Only OSS itself refuses a right; what passes may as well come from a gateway before it, which gives no id.
    ...(status === 403 ? { 'x-oss-request-id': '0123456789ABCDEF01234567' } : {}),
    date: new Date().toUTCString(),
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
  });
  const code = status === 503 ? 'SlowDown' : status === 403 ? 'AccessDenied' : 'InternalError';
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>not now</Message></Error>`);
}

function forward(
  { host, port }: { host: string; port: number },
  incoming: IncomingMessage,
  response: ServerResponse,
  mishap: Mishap | undefined,
): void {
  const { method, url: path, headers } = incoming;
  const outgoing = request({ host, port, method, path, headers }, (answer) => {
    if (mishap?.kind === 'lose-answer') {
      answer.resume();
      answer.once('end', () => incoming.socket.resetAndDestroy());
      return;
    }
    response.writeHead(answer.statusCode as number, shown(answer.rawHeaders, mishap));
    if (mishap?.kind === 'flip') return void answer.pipe(flipping(mishap.at)).pipe(response);
    if (mishap?.kind !== 'cut') return void answer.pipe(response);
    let left = mishap.bytes;
    answer.once('end', () => response.end());
    answer.on('data', (chunk: Buffer) => {
      const some = chunk.subarray(0, left);
      left -= some.length;
      if (left > 0) return void response.write(some);
      answer.destroy();
      // Cut once the bytes are out, so that the reader gets them.
      response.write(some, () => incoming.socket.destroy());
    });
  });
  outgoing.on('error', () => incoming.socket.destroy());
  response.once('close', () => outgoing.destroy());
  if (mishap?.kind === 'flip-sent') incoming.pipe(flipping(mishap.at)).pipe(outgoing);
  else incoming.pipe(outgoing);
}

/** Names and values in turns, as Node has them. */
function shown(rawHeaders: string[], mishap: Mishap | undefined): string[] {
  if (mishap?.kind !== 'hide') return rawHeaders;
  return rawHeaders.filter((_, index) => !mishap.headers.test(rawHeaders[index - (index % 2)] as string));
}

function flipping(at: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      const index = at - seen;
      if (index >= 0 && index < chunk.length) chunk[index] = (chunk[index] as number) ^ 1;
      seen += chunk.length;
      done(null, chunk);
    },
  });
}

function mishapFor(rules: readonly MishapRule[], { method, url = '', headers }: IncomingMessage): Mishap | undefined {
  const rule = rules.find(
    (each) =>
      each.times !== 0 &&
      (each.method === undefined || each.method === method) &&
      (each.url === undefined || each.url.test(url)) &&
      (each.header === undefined || each.header[1].test(String(headers[each.header[0]] ?? ''))) &&
      isTurn(each),
  );
  if (rule?.times !== undefined) rule.times -= 1;
  return rule?.mishap;
}

const met = new WeakMap<MishapRule, number>();

function isTurn(rule: MishapRule): boolean {
  const times = (met.get(rule) ?? 0) + 1;
  met.set(rule, times);
  return times % (rule.every ?? 1) === 0;
}
