import type { BucketConfig, RepositoryConfig } from '../core/config.ts';
import type { Bucket } from './bucket/bucket.ts';
import { Limiter, limited } from './bucket/limit.ts';
import { metered, type StoreFigures, StoreMetrics } from './bucket/metrics.ts';
import { Patience, type RetryPolicy, retrying, retryPolicy } from './bucket/retry.ts';
import { openBucketStore } from './bucket/store.ts';
import { timed } from './bucket/timeout.ts';
import { openFileStore } from './file/store.ts';
import type { ObjectStore } from './store.ts';

export type OpenOptions = {
  /** Where credentials of the environment come from. @defaultValue this process's own */
  env?: NodeJS.ProcessEnv;
  /** How long attempts are begun for one request, where the usual minutes are too long. Others wait no less because of it. */
  patienceMs?: number | undefined;
};

/**
 * The store that a repository's configuration names. Asks nothing of it yet.
 * @throws {PgproofError} `credentials-missing`, `store-misconfigured` for what can be known without asking.
 */
export async function openStore(config: RepositoryConfig, options: OpenOptions = {}): Promise<ObjectStore> {
  if (config.type === 'file') return openFileStore(config.path);
  return openBucketStore(await openBucket(config, options), { prefix: config.prefix });
}

/** The bucket of a configuration, with everything around it that a bucket on a network needs. */
export async function openBucket(
  config: BucketConfig,
  { env = process.env, patienceMs }: OpenOptions = {},
): Promise<Bucket> {
  const { limiter, metrics, patience } = trafficOf(config);
  const requests = limited(timed(metered(await openDriver(config, env), metrics)), limiter);
  const waiting = patienceMs === undefined ? { patience } : { policy: hasty(patienceMs) };
  return retrying(requests, { ...waiting, onRetry: () => metrics.retried() });
}

/** With a patience of its own: whoever gives up soon must not make the others give up. */
const hasty = (patienceMs: number): RetryPolicy => ({
  ...retryPolicy,
  patienceMs,
  shortPatienceMs: Math.min(patienceMs, retryPolicy.shortPatienceMs),
});

/** What this process asked of that store so far. */
export function storeFigures(config: BucketConfig): StoreFigures {
  return trafficOf(config).metrics.snapshot();
}

/** A host that has only files never loads the SDKs. */
async function openDriver(config: BucketConfig, env: NodeJS.ProcessEnv): Promise<Bucket> {
  if (config.type === 'oss') return (await import('./oss/bucket.ts')).openOssBucket(config, { env });
  return (await import('./s3/bucket.ts')).openS3Bucket(config, { env });
}

type Traffic = { limiter: Limiter; metrics: StoreMetrics; patience: Patience };

/** One for a store and a process, however often it is opened: its limits are the process's. */
const traffic = new Map<string, Traffic>();

function trafficOf(config: BucketConfig): Traffic {
  const key = JSON.stringify(config);
  let known = traffic.get(key);
  if (known === undefined) {
    known = { limiter: new Limiter(config.limits), metrics: new StoreMetrics(), patience: new Patience() };
    traffic.set(key, known);
  }
  return known;
}
