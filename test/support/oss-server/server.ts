import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OssBucket } from './bucket.ts';
import { OssFailure } from './failure.ts';
import { faultFor, flipped, type Operation, type OssFault, type OssFaultRule } from './faults.ts';
import { assertRegion, targetOf } from './host.ts';
import { type Credentials, Identities } from './identities.ts';
import {
  getBucketLifecycle,
  getBucketVersioning,
  getBucketWorm,
  listMultipartUploads,
  listObjects,
} from './listing.ts';
import {
  type Answer,
  abortMultipartUpload,
  type Context,
  completeMultipartUpload,
  deleteObject,
  getObject,
  headObject,
  initiateMultipartUpload,
  putObject,
  uploadPart,
} from './objects.ts';
import { assertAllowed } from './policy.ts';
import { type OssRequest, operationOf, parsed, wishOf } from './request.ts';
import { xml } from './xml.ts';

export type OssServerOptions = {
  region?: string;
  /** A domain that is bound to the bucket; `localhost` can be one. */
  cname?: string;
  /** PEM; then the server speaks HTTPS. */
  tls?: { key: string; cert: string };
  /** As for accounts of 2025 and later in mainland China: data only by internal endpoints and bound domains. */
  refusePublicEndpoint?: boolean;
  /** As behind a gateway that drops x-oss-err: a refused HEAD says only its status. */
  muteHead?: boolean;
};

/** What was asked of the server. */
export type Seen = { operation: Operation; key: string; query: string; accessKeyId: string; status: number };

/** A strict OSS with one bucket, for as long as a test lives. Everything may be changed while it runs. */
export type OssServer = {
  /** `http://127.0.0.1:port`; the bucket stands in the Host header, as clients of OSS send it. */
  endpoint: string;
  port: number;
  region: string;
  bucket: OssBucket;
  /** Of the account itself: may do everything. */
  credentials: Credentials;
  identities: Identities;
  faults: OssFaultRule[];
  seen: Seen[];
  /** Moves the server's clock, in milliseconds from the true time. */
  clockAheadMs: number;
  close(): Promise<void>;
};

const operations: Record<Operation, (context: Context) => Promise<Answer>> = {
  PutObject: putObject,
  GetObject: getObject,
  HeadObject: headObject,
  DeleteObject: deleteObject,
  InitiateMultipartUpload: initiateMultipartUpload,
  UploadPart: uploadPart,
  CompleteMultipartUpload: completeMultipartUpload,
  AbortMultipartUpload: abortMultipartUpload,
  ListMultipartUploads: listMultipartUploads,
  ListObjectsV2: listObjects,
  GetBucketVersioning: getBucketVersioning,
  GetBucketWorm: getBucketWorm,
  GetBucketLifecycle: getBucketLifecycle,
};

export async function startOssServer(options: OssServerOptions = {}): Promise<OssServer> {
  const { region = 'cn-hangzhou', tls } = options;
  const folder = mkdtempSync(join(tmpdir(), 'oss-'));
  const identities = new Identities();
  const now = () => new Date(Date.now() + server.clockAheadMs);
  const answer = (raw: IncomingMessage, response: ServerResponse) => void serve(server, options, folder, raw, response);
  const listener = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  // Whoever holds a connection open for its next request must not hold up the end of a test.
  listener.keepAliveTimeout = 5000;
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const server: OssServer & { now(): Date } = {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    region,
    bucket: new OssBucket('pgproof-test', region, now),
    credentials: identities.addUser(),
    identities,
    faults: [],
    seen: [],
    clockAheadMs: 0,
    now,
    async close() {
      listener.closeAllConnections();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return server;
}

async function serve(
  server: OssServer & { now(): Date },
  options: OssServerOptions,
  folder: string,
  raw: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const seen: Seen = { operation: 'GetObject', key: '', query: '', accessKeyId: '', status: 0 };
  let fault: OssFault | undefined;
  raw.on('error', () => {});
  response.on('error', () => {});
  response.setHeader('server', 'AliyunOSS');
  response.setHeader('date', server.now().toUTCString());
  response.setHeader('x-oss-request-id', randomBytes(12).toString('hex').toUpperCase());
  try {
    const request = parsed(raw);
    const operation = operationOf(request);
    Object.assign(seen, { operation, key: request.key, query: (raw.url as string).split('?')[1] ?? '' });
    server.seen.push(seen);
    fault = faultFor(server.faults, operation, request.key);
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'reset') return void raw.socket.destroy();
    if (fault?.kind === 'hold') await fault.until();
    if (fault?.kind === 'status') throw unavailable(fault);
    authorize(server, options, request, operation, seen);
    const answer = await operations[operation]({ bucket: server.bucket, request, folder, fault });
    seen.status = answer.status;
    if (fault?.kind === 'lose-answer') return void raw.socket.destroy();
    await send(response, answer, raw.method === 'HEAD', fault);
  } catch (error) {
    seen.status = error instanceof OssFailure ? error.status : 500;
    sendFailure(raw, response, error, options);
  }
}

function authorize(
  server: OssServer & { now(): Date },
  options: OssServerOptions,
  request: OssRequest,
  operation: Operation,
  seen: Seen,
): void {
  const { bucket, region } = server;
  const target = targetOf(request.headers.get('host') ?? '', request.path, {
    bucket: bucket.name,
    region,
    cname: options.cname,
  });
  const signed = { ...request, bucket: target.bucket };
  const identity = server.identities.authenticate(signed, target.region, server.now());
  seen.accessKeyId = identity.credentials.accessKeyId;
  if (target.bucket !== bucket.name)
    throw new OssFailure(404, 'NoSuchBucket', 'The specified bucket does not exist.', {
      ec: '0015-00000101',
      elements: { BucketName: target.bucket ?? '' },
    });
  assertRegion(target, bucket);
  if (options.refusePublicEndpoint && target.publicEndpoint)
    throw new OssFailure(400, 'PublicEndpointForbidden', 'Data operations by the public endpoint are not allowed.', {
      ec: '0048-00000401',
    });
  if (identity.policies !== undefined)
    assertAllowed(identity.policies, wishOf(operation, bucket.name, request, options.tls !== undefined));
}

async function send(
  response: ServerResponse,
  answer: Answer,
  head: boolean,
  fault: OssFault | undefined,
): Promise<void> {
  const { body } = answer;
  if (typeof body === 'string') {
    response.writeHead(answer.status, {
      'content-type': 'application/xml',
      'content-length': String(Buffer.byteLength(body)),
      ...answer.headers,
    });
    return void response.end(body);
  }
  response.writeHead(
    answer.status,
    body === undefined && !head ? { ...answer.headers, 'content-length': '0' } : answer.headers,
  );
  if (body === undefined) return void response.end();
  let at = 0;
  for await (const piece of spoiled(body, fault)) {
    if (fault?.kind === 'truncate' && at + piece.length >= fault.bytes) {
      // What was written must have left before the connection is cut.
      response.write(piece.subarray(0, fault.bytes - at), () => response.destroy());
      return;
    }
    at += piece.length;
    if (!response.write(piece)) await drained(response);
    if (response.destroyed) return;
  }
  response.end();
}

async function* spoiled(body: AsyncGenerator<Buffer>, fault: OssFault | undefined): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of body) {
    const bytes = fault?.kind === 'flip' ? flipped(piece, fault.at - at) : piece;
    at += piece.length;
    if (fault?.kind !== 'slow') {
      yield bytes;
      continue;
    }
    for (let from = 0; from < bytes.length; from += 16_384) {
      yield bytes.subarray(from, from + 16_384);
      await sleep(1);
    }
  }
}

async function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const events = ['drain', 'close'] as const;
  for (const event of events) response.on(event, resolve);
  await promise;
  for (const event of events) response.off(event, resolve);
}

function unavailable(fault: { status: number; code?: string; retryAfter?: number }): OssFailure {
  const codes: Record<number, string> = { 429: 'TooManyRequests', 500: 'InternalError', 503: 'ServiceUnavailable' };
  return new OssFailure(fault.status, fault.code ?? codes[fault.status] ?? 'Fault', 'Please try again later.', {
    headers: fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) },
  });
}

function sendFailure(
  raw: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  { muteHead }: OssServerOptions,
): void {
  if (response.headersSent || raw.socket.destroyed) return void raw.socket.destroy();
  const failure =
    error instanceof OssFailure
      ? error
      : new OssFailure(500, 'InternalError', `test server: ${(error as Error).stack}`);
  const body = xml('Error', {
    Code: failure.code,
    Message: failure.message,
    RequestId: String(response.getHeader('x-oss-request-id')),
    HostId: raw.headers.host ?? '',
    ...failure.elements,
  });
  const head = raw.method === 'HEAD';
  response.writeHead(failure.status, {
    'content-type': 'application/xml',
    ...(head ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...(head && !muteHead ? { 'x-oss-err': Buffer.from(body).toString('base64') } : {}),
    ...failure.headers,
  });
  response.end(head ? undefined : body);
  raw.resume();
}
