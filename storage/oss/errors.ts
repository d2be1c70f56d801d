import type { OssConfig } from '../../core/config.ts';
import type { Facts } from '../../core/errors.ts';
import { type ErrorCode, PgproofError } from '../../core/errors.ts';
import { objectExists, objectMissing } from '../errors.ts';
import { plainRegion } from './endpoint.ts';
import { networkError } from './network.ts';
import type { Answer, Exchange } from './transport.ts';

/** What was asked: the RAM action that allows it, and of what. `doing` completes "not allowed to …". */
export type Asked = { action: string; doing: string; key: string };

/** The elements of an error of OSS that are used. The others may hold what was signed, and with it a token. */
export type Refusal = {
  status: number;
  code: string;
  message: string;
  ec: string | undefined;
  element(name: string): string | undefined;
};

/** An error that OSS answered with; undefined when it did not answer one. */
export function refusalOf(answer: Answer | undefined): Refusal | undefined {
  if (answer === undefined || answer.status < 300) return undefined;
  const { status, headers } = answer;
  // The answer to HEAD has no body; the error is in a header then.
  const hidden = headers['x-oss-err'];
  const text = answer.body.length > 0 ? answer.body.toString() : Buffer.from(String(hidden ?? ''), 'base64').toString();
  const element = (name: string) => {
    const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
    return found?.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
  };
  return {
    status,
    code: element('Code') ?? '',
    message: element('Message') ?? '',
    ec: element('EC') ?? (headers['x-oss-ec'] as string | undefined),
    element,
  };
}

/** Whatever OSS answers has an id. */
export function isOfOss(answer: Answer | undefined): boolean {
  return answer?.headers['x-oss-request-id'] !== undefined;
}

/** The one error of ours for what a call came to. */
export function ossError(config: OssConfig, asked: Asked, exchange: Exchange, thrown: unknown): PgproofError {
  if (thrown instanceof PgproofError) return thrown;
  const where = `bucket '${config.bucket}'`;
  if (exchange.failure !== undefined) return networkError(where, exchange.failure);
  const refusal = refusalOf(exchange.answer);
  if (refusal === undefined || (!isOfOss(exchange.answer) && !isPassing(refusal.status))) {
    return new PgproofError('store-misconfigured', `the answer for ${where} is not that of OSS`, {
      facts: { bucket: config.bucket, status: exchange.answer?.status ?? 0 },
      hint: 'Is something between this host and the store that answers in its place?',
      cause: thrown,
    });
  }
  return new Refused(config, asked, exchange, refusal).error();
}

/** What waiting mends, whoever says it: also a gateway before the store. */
function isPassing(status: number): boolean {
  return status === 429 || status === 408 || status >= 500;
}

class Refused {
  readonly #config: OssConfig;
  readonly #asked: Asked;
  readonly #exchange: Exchange;
  readonly #refusal: Refusal;

  constructor(config: OssConfig, asked: Asked, exchange: Exchange, refusal: Refusal) {
    this.#config = config;
    this.#asked = asked;
    this.#exchange = exchange;
    this.#refusal = refusal;
  }

  error(): PgproofError {
    const { code, status, ec } = this.#refusal;
    const { key } = this.#asked;
    if (isPassing(status) || code === 'RequestTimeout') return this.#unreachable();
    switch (code) {
      case 'NoSuchKey':
      case 'NoSuchUpload':
        return objectMissing(key);
      case 'FileAlreadyExists':
      case 'FileImmutable':
        return objectExists(key);
      case 'NoSuchBucket':
        return this.#misconfigured(`there is no bucket '${this.#config.bucket}'`, 'Correct `bucket`, or create it.');
      case 'RequestTimeTooSkewed':
        return this.#clockSkew();
      case 'SecurityTokenExpired':
      case 'InvalidSecurityToken':
        return this.#make('credentials-expired', 'the temporary credentials are not valid any more', {}, undefined);
      case 'InvalidAccessKeyId':
      case 'SignatureDoesNotMatch':
      case 'AccessKeyIdAndSecurityTokenNotMatch':
        return this.#wrongKey();
      case 'InvalidDigest':
        // Nothing was stored: the bytes changed on their way, and may travel again.
        return this.#make('store-unreachable', `what was sent of '${key}' arrived changed`, {}, undefined);
      case 'PublicEndpointForbidden':
        return this.#misconfigured(
          'this bucket may not be used by its public endpoint',
          'Set `endpoint: internal` inside Alibaba Cloud, or bind a domain of your own: its address as `endpoint`, and `cname: true`.',
        );
      case 'SecondLevelDomainForbidden':
      case 'NonStandardHostForbidden':
        return this.#misconfigured(
          `the endpoint does not name the bucket: OSS refuses it in the path`,
          'An endpoint of OSS needs `cname: false`, your own domain `cname: true`, and the domain must be bound to this bucket.',
        );
      case 'InvalidObjectState':
        return this.#misconfigured(
          `'${key}' lies in an archive class, and cannot be read before it is restored there`,
          'Restore it in the console, and change the lifecycle rule that moved it.',
        );
      default:
    }
    const rightful = this.#rightRegion();
    if (rightful !== undefined) return rightful;
    if (ec === '0002-00000226')
      return this.#misconfigured(
        `region '${plainRegion(this.#config.region)}' is not that of bucket '${this.#config.bucket}'`,
        'Correct `region`; the console shows it on the page of the bucket.',
      );
    if (status === 403) return this.#denied();
    return this.#misconfigured(`OSS refuses to ${this.#asked.doing}: ${this.#said()}`, undefined);
  }

  /** A bucket that is asked for in the wrong region is named with its endpoint there. */
  #rightRegion(): PgproofError | undefined {
    const endpoint = this.#refusal.element('Endpoint');
    const region = /^oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com$/.exec(endpoint ?? '')?.[1];
    if (endpoint === undefined) return undefined;
    const { bucket, region: configured } = this.#config;
    const right = region ?? endpoint;
    return this.#make(
      'store-misconfigured',
      `bucket '${bucket}' is in region '${right}', not in '${plainRegion(configured)}'`,
      { region: right },
      region === undefined ? `Set the endpoint to ${endpoint}.` : `Set \`region: ${region}\`.`,
    );
  }

  #unreachable(): PgproofError {
    const retryAfter = Number(this.#exchange.answer?.headers['retry-after']);
    const facts: Facts = Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {};
    return this.#make('store-unreachable', `OSS cannot ${this.#asked.doing} now: ${this.#said()}`, facts, undefined);
  }

  #clockSkew(): PgproofError {
    const storeTime = this.#refusal.element('ServerTime') ?? String(this.#exchange.answer?.headers.date ?? '');
    const ourTime = new Date(this.#exchange.startedAt).toISOString();
    const skewSeconds = Math.round((this.#exchange.startedAt - Date.parse(storeTime)) / 1000);
    const direction = skewSeconds < 0 ? 'behind' : 'ahead of';
    return this.#make(
      'clock-skew',
      `the clock of this host (${ourTime}) is ${Math.abs(skewSeconds)} s ${direction} that of OSS (${storeTime})`,
      { ourTime, storeTime, skewSeconds },
      'Set the clock of this host, and keep it set by NTP; OSS allows 15 minutes.',
    );
  }

  #wrongKey(): PgproofError {
    const [text, hint] =
      this.#refusal.code === 'SignatureDoesNotMatch'
        ? ['the secret does not belong to the access key', 'Correct the secret; mind blanks at its ends.']
        : ['OSS does not know the access key', 'It may have been disabled or deleted; give this host another one.'];
    return this.#make('store-denied', text as string, {}, hint);
  }

  #denied(): PgproofError {
    const { action, doing, key } = this.#asked;
    const { bucket } = this.#config;
    const resource = key === '' ? `acs:oss:*:*:${bucket}` : `acs:oss:*:*:${bucket}/${key}`;
    return this.#make(
      'store-denied',
      `not allowed to ${doing}: ${this.#said()}`,
      { action, resource },
      `The RAM policy must allow ${action} on ${resource}; \`check --policy\` prints the whole of it.`,
    );
  }

  #misconfigured(text: string, hint: string | undefined): PgproofError {
    return this.#make('store-misconfigured', text, {}, hint);
  }

  #said(): string {
    const { code, message, status } = this.#refusal;
    return [code || `status ${status}`, message].filter((part) => part !== '').join(', ');
  }

  #make(code: ErrorCode, text: string, more: Facts, hint: string | undefined): PgproofError {
    const { status, code: storeCode, ec } = this.#refusal;
    const { key } = this.#asked;
    const requestId = String(this.#exchange.answer?.headers['x-oss-request-id'] ?? '');
    const facts: Facts = {
      bucket: this.#config.bucket,
      ...(key === '' ? {} : { key }),
      status,
      storeCode,
      ...(ec === undefined ? {} : { ec }),
      requestId,
      ...more,
    };
    return new PgproofError(code, text, { facts, ...(hint === undefined ? {} : { hint }) });
  }
}
