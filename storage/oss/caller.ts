import type { IncomingMessage } from 'node:http';
import { abortReason, throwIfAborted } from '../../core/abort.ts';
import type { OssConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Call } from '../bucket/bucket.ts';
import type { CredentialSource } from './credential-source.ts';
import { type Endpoint, endpointOf } from './endpoint.ts';
import { type Asked, isOfOss, ossError, refusalOf } from './errors.ts';
import { clientFor, type loadSdk, type Sdk } from './sdk.ts';
import { Connections, Exchange } from './transport.ts';

/** Codes after which other credentials may be accepted. */
const stale = ['SecurityTokenExpired', 'InvalidSecurityToken', 'InvalidAccessKeyId', 'SignatureDoesNotMatch'];

/** Sends one request by the SDK, with the credentials of this moment, until its signal aborts; its errors are ours. */
export class Caller {
  readonly #config: OssConfig;
  readonly #sdk: Awaited<ReturnType<typeof loadSdk>>;
  readonly #endpoint: Endpoint;
  readonly #connections: Connections;
  readonly #credentials: CredentialSource;

  constructor(
    config: OssConfig,
    sdk: Awaited<ReturnType<typeof loadSdk>>,
    connections: Connections,
    credentials: CredentialSource,
  ) {
    this.#config = config;
    this.#sdk = sdk;
    this.#endpoint = endpointOf(config);
    this.#connections = connections;
    this.#credentials = credentials;
    assertTaken(config, sdk, this.#endpoint);
  }

  /** What will hold the answer to one call, for callers who want to see it whatever it was. */
  exchange({ signal }: Call): Exchange {
    return new Exchange(this.#connections, signal);
  }

  /** @param special an error of ours for a code of OSS that means something else in this call than in others. */
  async call<T>(
    asked: Asked,
    call: Call,
    use: (client: Sdk) => Promise<T>,
    special: (storeCode: string) => PgproofError | undefined = () => undefined,
    exchange: Exchange = this.exchange(call),
  ): Promise<T> {
    const { signal } = call;
    throwIfAborted(signal);
    const credentials = await this.#credentials.current(signal);
    const client = clientFor(this.#sdk, this.#endpoint, this.#config.bucket, credentials, exchange);
    try {
      const answer = await use(client);
      if (isOfOss(exchange.answer)) return answer;
      discard(answer);
      throw ossError(this.#config, asked, exchange, undefined);
    } catch (thrown) {
      if (signal.aborted) throw abortReason(signal);
      const code = refusalOf(exchange.answer)?.code ?? '';
      if (stale.includes(code)) this.#credentials.refused(credentials);
      throw special(code) ?? ossError(this.#config, asked, exchange, thrown);
    }
  }
}

/** Ends a request whose body nobody will read. */
export function discard(answer: unknown): void {
  const { stream } = answer as { stream?: IncomingMessage };
  stream?.on('error', () => {});
  stream?.destroy();
}

/** The SDK has its own opinion of names and addresses. */
function assertTaken({ bucket, endpoint }: OssConfig, sdk: Awaited<ReturnType<typeof loadSdk>>, taken: Endpoint): void {
  const nobody = { accessKeyId: 'nobody', accessKeySecret: 'nothing' };
  try {
    clientFor(sdk, taken, bucket, nobody, new Exchange(new Connections(), AbortSignal.abort()));
  } catch (cause) {
    const text = `bucket '${bucket}' at endpoint '${endpoint}' is not one of OSS: ${(cause as Error).message}`;
    throw new PgproofError('store-misconfigured', text, { facts: { bucket, endpoint }, cause });
  }
}
