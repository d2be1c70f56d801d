import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { BucketConfig } from '../core/config.ts';
import { asPgproofError, hasCode } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { repositoryKey } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import type { Bucket, BucketFacts, Call } from '../storage/bucket/bucket.ts';
import { openBucket, storeFigures } from '../storage/open.ts';
import { attempt, type Finding, ok, problem, warning } from './finding.ts';
import { settingsFindings } from './store-settings.ts';

/** A store that does not answer within this time does not work for a check. */
const patienceMs = 15_000;
const speedBytes = 16 << 20;

export type StoreCheckOptions = { signal: AbortSignal; env?: NodeJS.ProcessEnv };

/**
 * Asks the bucket of each repository for everything that pgproof will ask of it, with objects of its own below the prefix that
 * it removes again. Findings are named `<repository>/<what>`. Folders are checked elsewhere.
 */
export async function checkStores(
  { name, repositories, unavailable }: ProtectedCluster,
  options: StoreCheckOptions,
): Promise<Finding[]> {
  const away = unavailable.map(({ name, error }) => problem(`${name}/open`, error.message, error.hint));
  const findings: Finding[] = [];
  for (const repository of repositories)
    findings.push(
      ...(await attempt(`${repository.name}/store`, options.signal, () => checkStore(name, repository, options))),
    );
  return [...away, ...findings];
}

async function checkStore(
  cluster: string,
  { name, config }: Repository,
  { signal, env }: StoreCheckOptions,
): Promise<Finding[]> {
  if (config.type === 'file') return [];
  const bucket = await openBucket(config, { patienceMs, ...(env === undefined ? {} : { env }) });
  const probe = new Probe(name, cluster, config, bucket, { signal });
  return probe.run();
}

class Probe {
  readonly #repository: string;
  readonly #cluster: string;
  readonly #config: BucketConfig;
  readonly #bucket: Bucket;
  readonly #call: Call;
  readonly #key: string;

  constructor(repository: string, cluster: string, config: BucketConfig, bucket: Bucket, call: Call) {
    this.#repository = repository;
    this.#cluster = cluster;
    this.#config = config;
    this.#bucket = bucket;
    this.#call = call;
    this.#key = `${config.prefix}pgproof-check-${randomBytes(6).toString('hex')}`;
  }

  async run(): Promise<Finding[]> {
    const facts = await this.#bucket.inspect(this.#config.prefix, this.#call);
    const named = (what: string) => this.#named(what);
    const asked = { prefix: this.#config.prefix, policyVerb: this.#policyVerb(), named };
    const isLocked = facts.lock !== 'none' && facts.lock !== undefined && facts.lock.days !== null;
    const rights = await this.#rights();
    const canWrite = rights.status === 'ok';
    return [
      ...settingsFindings(facts, asked),
      rights,
      ...(canWrite ? [await this.#try('conditional-put', () => this.#conditional(facts))] : []),
      // What is retained cannot be removed again, and 16 MiB a check would stay for years.
      ...(canWrite && !isLocked ? [await this.#try('speed', () => this.#speed())] : []),
      this.#requests(),
    ];
  }

  /** What had to be sent again to this store, by this process, says how steady it is. */
  #requests(): Finding {
    const { retries, operations } = storeFigures(this.#config);
    const sent = Object.values(operations).reduce((sum, { requests }) => sum + requests, 0);
    const detail = `${sent} requests, ${retries} of them sent again`;
    const name = this.#named('requests');
    if (retries === 0) return ok(name, detail);
    return warning(
      name,
      detail,
      'Look at the network on the way to the store, and at its limits for this account; see limits.parallel.',
    );
  }

  /** Each right by what it is for: the first refusal names the request that was refused. */
  async #rights(): Promise<Finding> {
    const name = this.#named('rights');
    const bytes = randomBytes(100);
    const refused: string[] = [];
    const steps: [string, () => Promise<unknown>][] = [
      ['write an object', () => this.#bucket.put(this.#key, bytes, this.#call)],
      ['look at an object', () => this.#bucket.head(this.#key, this.#call)],
      ['read an object', () => (refused.length === 0 ? this.#readBack(bytes) : this.#readMarker())],
      ['list objects', () => this.#bucket.list(this.#config.prefix, undefined, this.#call)],
      ['upload in parts', () => this.#uploadAndAbort(bytes)],
      ['list unfinished uploads', () => this.#bucket.uploads(this.#config.prefix, undefined, this.#call)],
      ['remove an object', () => this.#remove(this.#key)],
    ];
    for (const [what, step] of steps) {
      try {
        await step();
      } catch (error) {
        this.#call.signal.throwIfAborted();
        if (!hasCode(error, 'store-denied'))
          return problem(name, `cannot ${what}: ${asPgproofError(error).message}`, asPgproofError(error).hint);
        refused.push(what);
      }
    }
    if (refused.length === 0) return ok(name, 'write, read, list, remove, upload in parts');
    return problem(name, `not allowed to: ${refused.join(', ')}`, this.#policyVerb());
  }

  async #readBack(bytes: Uint8Array): Promise<void> {
    const { body } = await this.#bucket.get(this.#key, { offset: 10, length: 50 }, this.#call);
    if (!(await buffer(body)).equals(bytes.subarray(10, 60))) throw new Error('other bytes come back than were stored');
  }

  /** Where nothing could be written, what is surely there. */
  async #readMarker(): Promise<void> {
    const { body } = await this.#bucket.get(`${this.#config.prefix}${repositoryKey}`, undefined, this.#call);
    body.destroy();
  }

  async #uploadAndAbort(bytes: Uint8Array): Promise<void> {
    const key = `${this.#key}-parts`;
    const upload = await this.#bucket.begin(key, this.#call);
    try {
      await this.#bucket.putPart(key, upload, 1, bytes, this.#call);
    } finally {
      await this.#bucket.abort(key, upload, this.#call);
    }
  }

  async #conditional({ versioning }: BucketFacts): Promise<Finding> {
    const name = this.#named('conditional-put');
    const key = `${this.#key}-twice`;
    const put = (text: string) => this.#bucket.put(key, new TextEncoder().encode(text), this.#call);
    await put('first');
    try {
      await put('second');
      const why = versioning === 'enabled' ? ', as versioned buckets do' : '';
      return ok(name, `the store replaces objects${why}: pgproof does not rely on it`);
    } catch (error) {
      if (hasCode(error, 'object-exists')) return ok(name, 'an object that is there is not replaced');
      throw error;
    } finally {
      await this.#remove(key);
    }
  }

  async #speed(): Promise<Finding> {
    const key = `${this.#key}-speed`;
    const bytes = randomBytes(speedBytes);
    const up = await seconds(() => this.#bucket.put(key, bytes, this.#call));
    try {
      let received = 0;
      const down = await seconds(async () => {
        const { body } = await this.#bucket.get(key, undefined, this.#call);
        for await (const chunk of body) received += chunk.length;
      });
      if (received !== speedBytes)
        return problem(this.#named('speed'), `${received} of ${speedBytes} bytes came back`, null);
      return ok(
        this.#named('speed'),
        `${rate(up)} MB/s up, ${rate(down)} MB/s down, one connection, ${speedBytes >> 20} MiB`,
      );
    } finally {
      await this.#remove(key);
    }
  }

  /** Under a lock it stays until it may go; that is no reason to complain. */
  async #remove(key: string): Promise<void> {
    await this.#bucket.remove(key, this.#call).catch((error: unknown) => {
      if (!hasCode(error, 'object-retained')) throw error;
    });
  }

  async #try(what: string, look: () => Promise<Finding>): Promise<Finding> {
    const [finding] = await attempt(this.#named(what), this.#call.signal, async () => [await look()]);
    return finding as Finding;
  }

  #named(what: string): string {
    return `${this.#repository}/${what}`;
  }

  #policyVerb(): string {
    return `pgproof check ${this.#cluster} --policy`;
  }
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

const rate = (taken: number): string => (speedBytes / 1e6 / taken).toFixed(0);
