import { hasCode } from '../../core/errors.ts';
import type { BucketFacts } from '../bucket/bucket.ts';
import type { LifecycleRule, Sdk } from './sdk.ts';

/** Calls the bucket; the answer's headers, and those of a refusal, are handed to `seen`. */
export type Ask = <T>(action: string, doing: string, use: (client: Sdk) => Promise<T>) => Promise<T>;

const archives = /Archive/;

export async function versioningOf(ask: Ask, bucket: string): Promise<BucketFacts['versioning']> {
  const status = await allowed(() =>
    ask('oss:GetBucketVersioning', "see the bucket's versioning", (client) => client.getBucketVersioning(bucket)),
  );
  if (status === undefined) return undefined;
  if (status.versionStatus === 'Enabled') return 'enabled';
  return status.versionStatus === 'Suspended' ? 'suspended' : 'off';
}

/** Retention of the bucket, which counts from each object's last change. */
export async function wormOf(ask: Ask, bucket: string): Promise<BucketFacts['lock']> {
  const worm = await allowed(() =>
    ask('oss:GetBucketWorm', "see the bucket's retention", (client) => client.getBucketWorm(bucket)).catch(absent),
  );
  if (worm === undefined) return undefined;
  return worm === 'absent' ? 'none' : { mode: worm.state ?? 'unknown', days: worm.days ? Number(worm.days) : null };
}

export async function lifecycleOf(
  ask: Ask,
  bucket: string,
  prefix: string,
): Promise<Pick<BucketFacts, 'abortsUploadsAfterDays' | 'deletingRules'>> {
  const lifecycle = await allowed(() =>
    ask('oss:GetBucketLifecycle', "see the bucket's lifecycle", (client) => client.getBucketLifecycle(bucket)).catch(
      absent,
    ),
  );
  if (lifecycle === undefined) return { abortsUploadsAfterDays: undefined, deletingRules: undefined };
  const rules = (lifecycle === 'absent' ? [] : (lifecycle.rules ?? [])).filter(({ status }) => status === 'Enabled');
  const aborting = rules
    .filter((rule) => prefix.startsWith(rule.prefix ?? ''))
    .map(({ abortMultipartUpload }) => Number(abortMultipartUpload?.days))
    .filter((days) => Number.isFinite(days));
  return {
    abortsUploadsAfterDays: aborting.length === 0 ? 'never' : Math.min(...aborting),
    deletingRules: rules.filter((rule) => takesAway(rule, prefix)).map(({ id }) => id ?? '(without an id)'),
  };
}

function takesAway(rule: LifecycleRule, prefix: string): boolean {
  const theirs = rule.prefix ?? '';
  if (!prefix.startsWith(theirs) && !theirs.startsWith(prefix)) return false;
  return rule.expiration !== undefined || archives.test(JSON.stringify(rule.transition ?? ''));
}

/** That there is no such setting is an answer. */
function absent(error: unknown): 'absent' {
  if (hasCode(error, 'store-misconfigured') && error.facts.status === 404 && error.facts.storeCode !== 'NoSuchBucket')
    return 'absent';
  throw error;
}

async function allowed<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (hasCode(error, 'store-denied')) return undefined;
    throw error;
  }
}
