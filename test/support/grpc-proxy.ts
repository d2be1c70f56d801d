import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

export type GrpcProxy = {
  /** host:port, for TEMPORAL_ADDRESS. */
  address: string;
  /** Headers of the calls that arrived, newest last. */
  headers: http2.IncomingHttpHeaders[];
  /** Calls that are refused; with PERMISSION_DENIED (7), as Temporal Cloud does, unless it says otherwise. */
  deny: RegExp | null;
  /** gRPC's status of a refusal. */
  status: number;
  close(): Promise<void>;
};

type Tls = { key: string; cert: string; ca: string };

/** Temporal's dev server speaks no TLS: this stands before it, demands client certificates, and shows what clients send. */
export async function startGrpcProxy(upstream: string, tls: Tls | null = null): Promise<GrpcProxy> {
  const server =
    tls === null
      ? http2.createServer()
      : http2.createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] });
  const sessions = new Set<http2.Http2Session>();
  const proxy: GrpcProxy = { address: '', headers: [], deny: null, status: 7, close: async () => undefined };
  server.on('session', (session: http2.Http2Session) => {
    const there = http2.connect(`http://${upstream}`);
    for (const each of [session, there]) {
      sessions.add(each);
      each.on('error', () => undefined); // whoever is proxied sees it
      each.on('close', () => sessions.delete(each));
    }
    session.on('close', () => there.close());
    session.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      proxy.headers.push(headers);
      if (proxy.deny?.test(String(headers[':path']))) refuse(stream, proxy.status);
      else forward(stream, headers, there);
    });
  });
  server.on('sessionError', () => undefined);
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy.close = async () => {
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return proxy;
}

function refuse(stream: http2.ServerHttp2Stream, status: number): void {
  stream.on('error', () => undefined);
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': `${status}`, 'grpc-message': 'not for you' },
    { endStream: true },
  );
}

function forward(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  there: http2.ClientHttp2Session,
): void {
  const { ':authority': _authority, ...rest } = headers;
  const call = there.request({ ...rest, ':scheme': 'http' });
  for (const each of [stream, call]) each.on('error', () => undefined);
  stream.on('close', () => call.close());
  call.on('response', (answer) => {
    if (stream.destroyed) return;
    stream.respond(answer, { waitForTrailers: true });
    let trailers: http2.IncomingHttpHeaders = {};
    call.on('trailers', (given) => {
      trailers = given;
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    call.pipe(stream);
  });
  stream.pipe(call);
}
