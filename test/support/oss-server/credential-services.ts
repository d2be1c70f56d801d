import { createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Credentials, Identities } from './identities.ts';

/** A service that gives out credentials which the OSS server knows. */
export type CredentialService = {
  address: string;
  /** How long what is given out is good for. */
  sessionMs: number;
  /** While set, it answers with this status and nothing else. */
  failing: number | undefined;
  /** What was given out, the newest last. */
  given: Credentials[];
  close(): Promise<void>;
};

type Handler = (request: IncomingMessage, response: ServerResponse, give: () => Given) => Promise<void>;
type Given = Required<Credentials> & { expiration: string };

/** The metadata service of an ECS instance with a RAM role, in its hardened mode: without a token it answers nothing. */
export function startMetadata(identities: Identities, role: string): Promise<CredentialService> {
  const tokens = new Set<string>();
  return start(identities, async (request, response, give) => {
    if (request.method === 'PUT' && request.url === '/latest/api/token') {
      const seconds = Number(request.headers['x-aliyun-ecs-metadata-token-ttl-seconds']);
      if (!(seconds >= 1 && seconds <= 21_600)) return void response.writeHead(400).end();
      const token = randomBytes(20).toString('base64');
      tokens.add(token);
      return void response.end(token);
    }
    if (!tokens.has(String(request.headers['x-aliyun-ecs-metadata-token']))) return void response.writeHead(403).end();
    if (request.url !== `/latest/meta-data/ram/security-credentials/${role}`) return void response.writeHead(404).end();
    const { accessKeyId, accessKeySecret, securityToken, expiration } = give();
    const answer = {
      AccessKeyId: accessKeyId,
      AccessKeySecret: accessKeySecret,
      Expiration: expiration,
      SecurityToken: securityToken,
      LastUpdated: new Date().toISOString(),
      Code: 'Success',
    };
    response.end(JSON.stringify(answer));
  });
}

/** STS: AssumeRole of one role by one RAM user, its signature verified. */
export function startSts(identities: Identities, role: string, user: Credentials): Promise<CredentialService> {
  return start(identities, async (request, response, give) => {
    const fields = new URLSearchParams(await text(request));
    const refuse = (status: number, code: string) =>
      void response.writeHead(status).end(JSON.stringify({ Code: code, Message: code, RequestId: 'test' }));
    if (fields.get('AccessKeyId') !== user.accessKeyId) return refuse(404, 'InvalidAccessKeyId.NotFound');
    if (fields.get('Signature') !== rpcSignature(fields, user.accessKeySecret))
      return refuse(400, 'SignatureDoesNotMatch');
    if (fields.get('Action') !== 'AssumeRole' || fields.get('Version') !== '2015-04-01')
      return refuse(400, 'Unsupported');
    if (fields.get('RoleArn') !== role) return refuse(404, 'EntityNotExist.Role');
    const { accessKeyId, accessKeySecret, securityToken, expiration } = give();
    const credentials = {
      AccessKeyId: accessKeyId,
      AccessKeySecret: accessKeySecret,
      SecurityToken: securityToken,
      Expiration: expiration,
    };
    response.end(JSON.stringify({ RequestId: 'test', Credentials: credentials }));
  });
}

/** Alibaba Cloud's published signature of its RPC interfaces, version 1.0: HMAC-SHA1 of the sorted, encoded parameters. */
function rpcSignature(fields: URLSearchParams, secret: string): string {
  const sorted = [...fields]
    .filter(([name]) => name !== 'Signature')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .join('&');
  return createHmac('sha1', `${secret}&`)
    .update(`POST&%2F&${encoded(sorted)}`)
    .digest('base64');
}

function encoded(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

async function start(identities: Identities, handle: Handler): Promise<CredentialService> {
  const listener = createServer((request, response) => {
    if (service.failing !== undefined) {
      request.resume();
      response.writeHead(service.failing).end('{"Code":"InternalError"}');
      return;
    }
    void handle(request, response, () => {
      const expiresAt = new Date(Date.now() + service.sessionMs);
      const credentials = identities.addSession(expiresAt);
      service.given.push(credentials);
      return { ...credentials, expiration: expiresAt.toISOString().replace(/\.\d+Z$/, 'Z') };
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const service: CredentialService = {
    address: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    sessionMs: 3_600_000,
    failing: undefined,
    given: [],
    async close() {
      listener.closeAllConnections();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
  return service;
}
