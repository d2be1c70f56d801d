import { createHmac } from 'node:crypto';
import { hasCode, PgproofError } from '../core/errors.ts';
import { createIdentical } from '../storage/create.ts';
import type { StoreOptions } from '../storage/store.ts';
import { canonicalBytes, readDocument } from './document.ts';
import type { KeyRing } from './keys.ts';
import { formatVersion, ownerKey, ownerPrefix } from './layout.ts';
import { type OwnerRecord, ownerRecord } from './record.ts';
import type { Repository } from './repository.ts';

/** Who writes a cluster: a fleet, from one of its hosts. Two fleets of one name are told apart by the keys of the cluster. */
export type Writer = { name: string; fleet: string; host: string; keys: KeyRing };

/**
 * Makes sure that the cluster is this fleet's in the repository. The first one that writes claims it.
 * @throws {PgproofError} `owner-other`, with who and since when.
 */
export async function assertOwner(repository: Repository, writer: Writer, options: StoreOptions = {}): Promise<void> {
  const found = await findOwner(repository, writer.name, options);
  if (found !== null) return refuseOther(repository, found.owner, writer);
  await claim(repository, 1, { writer, reason: null }, options).catch((error: unknown) => {
    if (!hasCode(error, 'object-exists')) throw error;
  });
  // Somebody may have claimed at the same moment: in a store that replaces objects the later one wins, and the other is refused.
  const after = await findOwner(repository, writer.name, options);
  if (after !== null) refuseOther(repository, after.owner, writer);
}

/**
 * For those who only look: claims nothing.
 * @throws {PgproofError} `owner-other`, as `assertOwner`.
 */
export async function refuseOfOther(repository: Repository, writer: Writer, options: StoreOptions = {}): Promise<void> {
  const found = await findOwner(repository, writer.name, options);
  if (found !== null) refuseOther(repository, found.owner, writer);
}

/** From now on the cluster is this fleet's. @returns who it was before; null: nobody. */
export async function takeOwnership(
  repository: Repository,
  { writer, reason }: { writer: Writer; reason: string | null },
  options: StoreOptions = {},
): Promise<OwnerRecord | null> {
  const found = await findOwner(repository, writer.name, options);
  await claim(repository, (found?.number ?? 0) + 1, { writer, reason }, options);
  return found?.owner ?? null;
}

/** Null: nobody has written it yet. */
export async function readOwner(
  repository: Repository,
  cluster: string,
  options: StoreOptions = {},
): Promise<OwnerRecord | null> {
  return (await findOwner(repository, cluster, options))?.owner ?? null;
}

async function findOwner(
  { store }: Repository,
  cluster: string,
  options: StoreOptions,
): Promise<{ number: number; owner: OwnerRecord } | null> {
  let newest = 0;
  for await (const { key } of store.list(ownerPrefix(cluster), options)) {
    const number = Number(/\/(\d{4,})\.json$/.exec(key)?.[1] ?? 0);
    newest = Math.max(newest, number);
  }
  if (newest === 0) return null;
  return { number: newest, owner: await readDocument(store, ownerKey(cluster, newest), ownerRecord, options) };
}

async function claim(
  { store }: Repository,
  number: number,
  { writer, reason }: { writer: Writer; reason: string | null },
  options: StoreOptions,
): Promise<void> {
  const { name: cluster, fleet, host } = writer;
  const owner: OwnerRecord = {
    formatVersion,
    cluster,
    fleet,
    identity: identityOf(writer),
    claimedAt: new Date().toISOString(),
    by: host,
    reason,
  };
  await createIdentical(store, ownerKey(cluster, number), canonicalBytes(owner), options);
}

/** An owner without a key, or a writer without one, is told by its name only. */
function refuseOther({ name }: Repository, owner: OwnerRecord, writer: Writer): void {
  const identity = identityOf(writer);
  const isSameKey = owner.identity === null || identity === null || owner.identity === identity;
  if (owner.fleet === writer.fleet && isSameKey) return;
  const who =
    owner.fleet === writer.fleet ? `another fleet that is called '${owner.fleet}', too` : `fleet '${owner.fleet}'`;
  throw new PgproofError(
    'owner-other',
    `cluster '${owner.cluster}' in repository '${name}' belongs to ${who}, since ${owner.claimedAt}`,
    {
      facts: {
        cluster: owner.cluster,
        repository: name,
        owner: owner.fleet,
        fleet: writer.fleet,
        since: owner.claimedAt,
        by: owner.by,
      },
      hint: `Two fleets must never write one cluster. If that one is gone for good: pgproof owner take ${owner.cluster}`,
    },
  );
}

/** Says nothing of the key that it is made with, which rotation never changes. */
function identityOf({ name, keys: { identityKey } }: Writer): string | null {
  if (identityKey === null) return null;
  return createHmac('sha256', identityKey).update(`owner\0${name}`).digest('hex').slice(0, 32);
}
