import { hasCode, PgproofError } from '../core/errors.ts';
import type { StoreOptions } from '../storage/store.ts';
import { currentEra } from './eras.ts';
import { type ClusterKeys, type KeyRing, missingKey } from './keys.ts';
import type { Repository } from './repository.ts';

/**
 * Refuses keys that are not the cluster's, before anything is written or downloaded: what was sealed with one key is not
 * continued with another, and tags made with two identity keys would call the same segment a conflict. A rotated key file
 * fits: the set that the era began with is still in it (docs/decisions/114-one-identity-an-era.md).
 * @throws {PgproofError} `key-missing` when the era has a key and none is configured, `key-wrong` when another is.
 */
export async function assertKeyFits(
  repository: Repository,
  { keys, walKeys }: ClusterKeys,
  cluster: string,
  options: StoreOptions = {},
): Promise<void> {
  const era = await currentEra(repository, cluster, options).catch((error: unknown) => {
    if (hasCode(error, 'object-missing')) return undefined;
    throw error;
  });
  if (era === undefined) return;
  assertRing(keys, era.keyId, { repository: repository.name, cluster, what: 'kept', setting: 'key' });
  const walKeyId = era.walKeyId === undefined ? era.keyId : era.walKeyId;
  assertRing(walKeys, walKeyId, { repository: repository.name, cluster, what: 'archived', setting: 'walKey' });
}

type Place = { repository: string; cluster: string; what: string; setting: 'key' | 'walKey' };

function assertRing(keys: KeyRing, keyId: string | null, { repository, cluster, what, setting }: Place): void {
  const configured = keys.current?.id ?? null;
  if (keyId === configured || (keyId !== null && keys.find(keyId) !== undefined)) return;
  if (keyId !== null && keys.current === null) throw missingKey(keyId, keys);
  throw new PgproofError(
    'key-wrong',
    keyId === null
      ? `cluster '${cluster}' is ${what} without a key in repository '${repository}', and a key is configured`
      : `cluster '${cluster}' is ${what} with the key '${keyId}' in repository '${repository}', and '${configured}' is configured`,
    {
      facts: { cluster, repository, keyId, configured },
      hint:
        keyId === null
          ? `To encrypt from now on, give clusters.${cluster}.repositories a new repository; this one stays readable without a key. Nothing was touched.`
          : `Correct clusters.${cluster}.${setting} or the key file. To change the key, rotate it: pgproof key rotate. Nothing was touched.`,
    },
  );
}
