import type { LifecycleRule } from '@aws-sdk/client-s3';
import { PgproofError } from '../../core/errors.ts';
import type { BucketFacts, Call } from '../bucket/bucket.ts';
import type { Client } from './client.ts';

/** Settings of the bucket; undefined where the store does not say, or our rights do not suffice to ask. */
export async function inspectBucket(client: Client, bucket: string, prefix: string, call: Call): Promise<BucketFacts> {
  const { sdk } = client;
  const where = { Bucket: bucket };
  const versioning = await asked(client.send(new sdk.GetBucketVersioningCommand(where), call, ''), 'unknown');
  const lock = await asked(client.send(new sdk.GetObjectLockConfigurationCommand(where), call, ''), 'none');
  const lifecycle = await asked(client.send(new sdk.GetBucketLifecycleConfigurationCommand(where), call, ''), 'none');
  const rules = lifecycle === 'none' ? [] : lifecycle?.Rules?.filter(({ Status }) => Status === 'Enabled');
  return {
    clockAheadSeconds: client.clockAheadSeconds,
    versioning: typeof versioning === 'object' ? (states[versioning.Status ?? ''] ?? 'off') : undefined,
    lock: typeof lock === 'object' ? lockOf(lock.ObjectLockConfiguration) : lock,
    abortsUploadsAfterDays: rules && abortDays(rules, prefix),
    deletingRules: rules && deleting(rules, prefix),
  };
}

const states: Record<string, 'enabled' | 'suspended'> = { Enabled: 'enabled', Suspended: 'suspended' };

/** What a store answers where nothing is set. */
const nothingSet = new Set(['ObjectLockConfigurationNotFoundError', 'NoSuchLifecycleConfiguration']);

/** What a store answers that has no such setting, or does not let us look at it. */
const cannotSay = new Set(['AccessDenied', 'NotImplemented', 'MethodNotAllowed', 'XNotImplemented']);

async function asked<T, N extends string>(asking: Promise<T>, nothing: N): Promise<T | N | undefined> {
  return asking.catch((error: unknown) => {
    const storeCode = error instanceof PgproofError ? String(error.facts.storeCode) : '';
    if (nothingSet.has(storeCode)) return nothing;
    if (cannotSay.has(storeCode)) return undefined;
    throw error;
  });
}

type Lock = {
  ObjectLockEnabled?: string;
  Rule?: { DefaultRetention?: { Mode?: string; Days?: number; Years?: number } };
};

function lockOf(lock: Lock | undefined): BucketFacts['lock'] {
  if (lock?.ObjectLockEnabled !== 'Enabled') return 'none';
  const { Mode, Days, Years } = lock.Rule?.DefaultRetention ?? {};
  const days = Days ?? (Years === undefined ? null : Years * 365);
  return { mode: Mode ?? 'enabled', days };
}

function abortDays(rules: LifecycleRule[], prefix: string): number | 'never' {
  const days = rules
    .filter((rule) => !filtered(rule) && prefix.startsWith(prefixOf(rule)))
    .flatMap(({ AbortIncompleteMultipartUpload: abort }) => abort?.DaysAfterInitiation ?? []);
  return days.length === 0 ? 'never' : Math.min(...days);
}

/** Rules that meet some of our objects: they carry no tags, so one that asks for tags does not. */
function deleting(rules: LifecycleRule[], prefix: string): string[] {
  return rules
    .filter((rule) => rule.Filter?.Tag === undefined && rule.Filter?.And?.Tags === undefined)
    .filter((rule) => prefix.startsWith(prefixOf(rule)) || prefixOf(rule).startsWith(prefix))
    .filter(
      ({ Expiration, Transitions }) =>
        Expiration?.Days !== undefined ||
        Expiration?.Date !== undefined ||
        Transitions?.some(({ StorageClass }) => StorageClass === 'GLACIER' || StorageClass === 'DEEP_ARCHIVE'),
    )
    .map(({ ID }, index) => ID ?? `rule ${index + 1}`);
}

const prefixOf = ({ Filter, Prefix }: LifecycleRule): string => Filter?.Prefix ?? Filter?.And?.Prefix ?? Prefix ?? '';

/** Meets only some of the objects below its prefix. */
const filtered = ({ Filter }: LifecycleRule): boolean => Filter?.Tag !== undefined || Filter?.And !== undefined;
