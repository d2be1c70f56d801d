import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import type { S3Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-s3';
import type { S3Config } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Call } from '../bucket/bucket.ts';
import { untilAborted } from '../until-aborted.ts';
import { type CredentialSource, credentialSource, type S3Credentials } from './credentials.ts';
import { storeFault, translated } from './errors.ts';
import { Http } from './http.ts';

export type Sdk = typeof import('@aws-sdk/client-s3');

/** A command of the SDK: its output's type is found by the class. */
type Command<Output extends ServiceOutputTypes> = {
  readonly input: ServiceInputTypes;
  middlewareStack: { add(middleware: never, options: never): void };
  resolveMiddleware(...args: never[]): (input: never) => Promise<{ output: Output }>;
};

/** Amazon's client with our way to the network, our credentials and our errors; without retries, redirects or checksums of its own. */
export class Client {
  readonly sdk: Sdk;
  readonly #config: S3Config;
  readonly #client: S3Client;
  readonly #http: Http;
  readonly #source: CredentialSource;

  private constructor(sdk: Sdk, config: S3Config, http: Http, source: CredentialSource) {
    this.sdk = sdk;
    this.#config = config;
    this.#http = http;
    this.#source = source;
    this.#client = new sdk.S3Client({
      region: config.region,
      ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
      forcePathStyle: config.pathStyle,
      credentials: async () => ({ ...(await source.current()), expiration: new Date(0) }) as never, // asked again each time
      requestHandler: http as never,
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      expectContinueHeader: false,
      disableS3ExpressSessionAuth: true,
      customUserAgent: 'pgproof',
    });
  }

  /** @throws {PgproofError} `store-misconfigured` for a certificate file that cannot be read. */
  static async open(config: S3Config, env: NodeJS.ProcessEnv): Promise<Client> {
    const sdk = await import('@aws-sdk/client-s3');
    const http = new Http({ ca: await trusted(config.ca), spare: config.limits.parallel });
    return new Client(sdk, config, http, credentialSource(config, env));
  }

  /** Seconds by which the store's clock is ahead of ours, by its last answer. */
  get clockAheadSeconds(): number | undefined {
    return this.#http.clockAheadSeconds;
  }

  /**
   * One request. Credentials that the store refuses are looked for once more: where they were replaced meanwhile, the request is
   * signed with the new ones and sent again.
   * @param headers that are signed and sent besides the command's own.
   */
  async send<Output extends ServiceOutputTypes>(
    command: Command<Output>,
    { signal }: Call,
    key: string,
    headers: Record<string, string> = {},
  ): Promise<Output> {
    const used = await untilAborted(signal, () => this.#source.current());
    try {
      return await this.#send(command, signal, headers);
    } catch (thrown) {
      const error = await this.#reason(thrown, command, signal);
      if (!refusesCredentials.has(storeFault(error)?.name ?? '')) throw await this.#translated(error, key, signal);
      this.#source.forget();
      const now = await untilAborted(signal, () => this.#source.current());
      if (same(used, now)) throw await this.#translated(error, key, signal);
    }
    return this.#send(command, signal, headers).catch(async (error: unknown) => {
      throw await this.#translated(error, key, signal);
    });
  }

  /**
   * A store that refuses a request without reading its body closes the connection, and its answer may be lost in that. So an
   * empty part of an upload that does not exist is sent, which changes nothing: where it is refused for credentials, clock,
   * region or rights, and not for the upload, that is why.
   */
  async #reason<Output extends ServiceOutputTypes>(
    error: unknown,
    { input }: Command<Output>,
    signal: AbortSignal,
  ): Promise<unknown> {
    const cut = ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '');
    if (!cut || signal.aborted || !hasLargeBody(input)) return error;
    const nowhere = { Bucket: this.#config.bucket, Key: input.Key, UploadId: randomUUID(), PartNumber: 1 };
    return this.#send(new this.sdk.UploadPartCommand({ ...nowhere, Body: new Uint8Array() }), signal, {}).then(
      () => error,
      (reason: unknown) => (refusesUs(reason) ? reason : error),
    );
  }

  async #send<Output extends ServiceOutputTypes>(
    command: Command<Output>,
    signal: AbortSignal,
    headers: Record<string, string>,
  ): Promise<Output> {
    const add = (next: (args: never) => unknown) => (args: { request: { headers: Record<string, string> } }) => {
      Object.assign(args.request.headers, headers);
      return next(args as never);
    };
    command.middlewareStack.add(add as never, { step: 'build', name: 'headers', override: true } as never);
    return untilAborted(signal, () => this.#client.send(command as never, { abortSignal: signal }) as Promise<Output>);
  }

  #translated(error: unknown, key: string, signal: AbortSignal): Promise<unknown> {
    return translated(error, { key, signal, config: this.#config });
  }
}

/** What a rotation can mend. */
const refusesCredentials = new Set([
  ...['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired', 'SecurityTokenExpired'],
  ...['InvalidAccessKeyId', 'InvalidToken', 'InvalidSecurityToken', 'SignatureDoesNotMatch'],
]);

/** More than goes out before anybody could refuse it. */
function hasLargeBody(input: ServiceInputTypes): input is ServiceInputTypes & { Key: string } {
  return 'Body' in input && input.Body instanceof Uint8Array && input.Body.length > 65_536;
}

function refusesUs(reason: unknown): boolean {
  const fault = storeFault(reason);
  if (fault === undefined) return false;
  const { httpStatusCode = 0 } = fault.$metadata;
  return [301, 307, 401, 403].includes(httpStatusCode) || refusesCredentials.has(fault.name) || namesUs.has(fault.name);
}

/** With a status that says nothing. */
const namesUs = new Set(['AuthorizationHeaderMalformed', 'NoSuchBucket', 'InvalidBucketName']);

const same = (a: S3Credentials, b: S3Credentials): boolean =>
  a.accessKeyId === b.accessKeyId && a.secretAccessKey === b.secretAccessKey && a.sessionToken === b.sessionToken;

/** Besides the usual ones; undefined where the usual ones are all. */
async function trusted(path: string | undefined): Promise<string[] | undefined> {
  if (path === undefined) return undefined;
  const pem = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new PgproofError('store-misconfigured', `the certificate file '${path}' cannot be read: ${cause.code}`, {
      facts: { path },
      cause,
    });
  });
  return [...getCACertificates('default'), pem];
}
