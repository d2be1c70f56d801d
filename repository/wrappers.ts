import { createHash, randomBytes } from 'node:crypto';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { StoreOptions } from '../storage/store.ts';
import { type Opener, unwrapText, type WrapFor, wrapText } from './age-file.ts';
import { canonicalBytes, readDocument } from './document.ts';
import { keyFileText, parseKeyFile } from './key-file.ts';
import type { KeySetDocument } from './key-set.ts';
import { formatVersion, keysPrefix, parseWrapperKey, wrapperKey } from './layout.ts';
import { type WrapperRecord, wrapperRecord } from './record.ts';
import type { Repository } from './repository.ts';

/** A wrapped key set as the repository lists it; what is in it stays closed. */
export type Wrapper = { key: string; keyId: string; wrapper: string };

/** @returns by key set, then by name. */
export async function listWrappers({ store }: Repository, options: StoreOptions = {}): Promise<Wrapper[]> {
  const wrappers: Wrapper[] = [];
  for await (const { key } of store.list(keysPrefix, options)) {
    const found = parseWrapperKey(key);
    if (found !== undefined) wrappers.push({ key, ...found });
  }
  return wrappers;
}

/**
 * Puts a key file into the repository, wrapped, under the name of its newest key set: whoever opens it has that set and all
 * older ones. One that is wrapped for this already is left as it is, so that it may be repeated after a rotation.
 * @param sets of the whole key file, newest first.
 * @throws {PgproofError} `key-write-only` for a file that reads nothing: wrapped, it would look like a way back and be none.
 */
export async function wrapKeySets(
  repository: Repository,
  sets: readonly [KeySetDocument, ...KeySetDocument[]],
  wrapFor: WrapFor,
  options: StoreOptions = {},
): Promise<{ keyId: string; key: string; existed: boolean }> {
  const [newest] = sets;
  for (const set of sets) assertWhole(set);
  const own = (await listWrappers(repository, options)).filter(({ keyId }) => keyId === newest.id);
  const there = await findWrapped(repository, own, wrapFor, options);
  const key = there ?? (await putWrapper(repository, sets, wrapFor, options));
  return { keyId: newest.id, key, existed: there !== undefined };
}

async function putWrapper(
  { store }: Repository,
  sets: readonly [KeySetDocument, ...KeySetDocument[]],
  wrapFor: WrapFor,
  options: StoreOptions,
): Promise<string> {
  const recipient = wrapFor.kind === 'recipient' ? wrapFor.recipient : null;
  const record: WrapperRecord = {
    formatVersion,
    keyId: sets[0].id,
    kind: wrapFor.kind,
    recipient,
    wrappedAt: new Date().toISOString(),
    age: await wrapText(keyFileText(sets), wrapFor),
  };
  const name = recipient === null ? randomBytes(4).toString('hex') : recipientName(recipient);
  const key = wrapperKey(record.keyId, `${wrapFor.kind}-${name}`);
  await store.create(key, canonicalBytes(record), options);
  return key;
}

/** A recipient's wrapper is found by its name; a passphrase's only by trying, which at the same time proves that it opens. */
async function findWrapped(
  repository: Repository,
  own: readonly Wrapper[],
  wrapFor: WrapFor,
  options: StoreOptions,
): Promise<string | undefined> {
  if (wrapFor.kind === 'recipient') {
    const wanted = `recipient-${recipientName(wrapFor.recipient)}`;
    return own.find(({ wrapper }) => wrapper === wanted)?.key;
  }
  for (const wrapper of own) {
    if ((await openWrapper(repository, wrapper, wrapFor, options)) !== undefined) return wrapper.key;
  }
  return undefined;
}

const recipientName = (recipient: string): string => createHash('sha256').update(recipient).digest('hex').slice(0, 8);

/**
 * All key sets of one key that the passphrase or the identities open, newest first: the content of a key file.
 * @param keyId any set of the key that is wanted; needed where the repository holds several keys that open.
 * @throws {PgproofError} `key-missing` when nothing of that kind is wrapped there; `passphrase-wrong`, `key-wrong` when nothing
 * opens; `usage` when it is not clear which key is meant; `object-damaged`.
 */
export async function unwrapKeySets(
  repository: Repository,
  opener: Opener,
  { keyId, ...options }: StoreOptions & { keyId?: string | undefined } = {},
): Promise<{ sets: KeySetDocument[]; closed: string[] }> {
  const wrappers = (await listWrappers(repository, options)).filter(({ wrapper }) => wrapper.startsWith(opener.kind));
  if (wrappers.length === 0) throw nothingWrapped(repository, opener);
  const opened = new Map<string, KeySetDocument>();
  let damage: unknown;
  // Ids begin with a time: the newest wrapper mostly has all the others' sets, and each one that is tried may take a second.
  for (const wrapper of wrappers.toReversed()) {
    if (opened.has(wrapper.keyId)) continue;
    try {
      const sets = await openWrapper(repository, wrapper, opener, options);
      for (const set of sets ?? []) if (!opened.has(set.id)) opened.set(set.id, set);
    } catch (error) {
      if (!hasCode(error, 'object-damaged', 'record-invalid', 'key-file-invalid')) throw error;
      damage ??= error;
    }
  }
  if (opened.size === 0) throw damage ?? opensNothing(repository, opener, wrappers);
  const sets = chooseKey([...opened.values()], keyId);
  const ids = new Set(sets.map(({ id }) => id));
  return { sets, closed: [...new Set(wrappers.map((wrapper) => wrapper.keyId))].filter((id) => !ids.has(id)) };
}

/** @returns newest first; undefined when it is closed to this opener. */
async function openWrapper(
  { store }: Repository,
  { key, keyId }: Wrapper,
  opener: Opener,
  options: StoreOptions,
): Promise<KeySetDocument[] | undefined> {
  const { kind, age } = await readDocument(store, key, wrapperRecord, options);
  if (kind !== opener.kind) return undefined;
  const text = await unwrapText(age, key, opener);
  if (text === undefined) return undefined;
  const { keySets } = parseKeyFile(text, key);
  if (keySets[0]?.id === keyId) return keySets;
  throw new PgproofError('object-damaged', `'${key}' holds another key set than its name says`, { facts: { key } });
}

/** Sets of one key have one identity key. Whoever knows a recipient can wrap a key of his own for it, so that a person chooses among several. */
function chooseKey(sets: readonly KeySetDocument[], keyId: string | undefined): KeySetDocument[] {
  const wanted = keyId === undefined ? sets[0] : sets.find(({ id }) => id === keyId);
  const own = sets.filter(({ identityKey }) => identityKey === wanted?.identityKey);
  if (wanted !== undefined && (keyId !== undefined || own.length === sets.length)) {
    // Stable: within one file the order is as it was.
    return own.toSorted((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
  }
  throw new PgproofError(
    'usage',
    wanted === undefined
      ? `the key set '${keyId}' is not among those that open`
      : 'key sets of several keys open, and one key file holds one key',
    {
      facts: { opened: sets.map(({ id }) => id) },
      hint: `Say which one with --key: ${sets.map(({ id }) => id).join(', ')}. The records of a cluster's eras name theirs.`,
    },
  );
}

function assertWhole({ id, dataKey, identity }: KeySetDocument): void {
  if (dataKey !== undefined || identity !== undefined) return;
  throw new PgproofError('key-write-only', `the key set '${id}' is at hand only to write with`, {
    facts: { keyId: id },
    hint: 'Wrap the whole key file, on a host that has it.',
  });
}

function nothingWrapped({ name }: Repository, { kind }: Opener): PgproofError {
  return new PgproofError('key-missing', `repository '${name}' holds no key that was wrapped for a ${kind}`, {
    facts: { repository: name, kind },
    hint: 'Look at `pgproof key list`, or bring the key file from where it was kept.',
  });
}

function opensNothing({ name }: Repository, { kind }: Opener, wrappers: readonly Wrapper[]): PgproofError {
  const keys = wrappers.map(({ key }) => key);
  const facts = { repository: name, wrappers: keys };
  return kind === 'passphrase'
    ? new PgproofError('passphrase-wrong', `the passphrase opens none of the wrapped keys: ${keys.join(', ')}`, {
        facts,
        hint: 'A new line at the end of a passphrase file does not count; everything else does.',
      })
    : new PgproofError('key-wrong', `the identity opens none of the wrapped keys: ${keys.join(', ')}`, {
        facts,
        hint: 'Each of these files says in "recipient" for whom it was made.',
      });
}
