import { decodeBytes } from '../codec/decode.ts';
import { recognizedCiphers } from '../codec/recognize.ts';
import { type Cipher, type Sealing, suffixOf } from '../codec/sealing.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { SegmentName } from '../core/segment.ts';
import { readBytes } from '../storage/bytes.ts';
import type { StoreOptions } from '../storage/store.ts';
import { rereadKeys } from './key-file.ts';
import { type KeyRing, openingWith, opens, sealingFor } from './keys.ts';
import { associatedData, walKey } from './layout.ts';
import type { Repository } from './repository.ts';
import { tagOf } from './tag.ts';
import { untrusted } from './untrusted.ts';

type Options = StoreOptions & { maxBytes: number };

/** Which segment, and by which keys: what the content must fit. */
type Wanted = { keys: KeyRing; cluster: string; era: string; segment: SegmentName; tag: string };

/**
 * The plain bytes of a segment, whole and checked against its tag. A key file that was rotated since the keys were read is read
 * again: the segment may be newer than they.
 * @param options.maxBytes larger is damage. @defaultValue 1 GiB, PostgreSQL's largest segment
 * @throws {PgproofError} `object-missing`, `object-damaged`; `key-missing` where no key set of its cipher is at hand, `key-write-only`.
 */
export async function readSegment(
  repository: Repository,
  keys: KeyRing,
  cluster: string,
  era: string,
  segment: SegmentName,
  tag: string,
  { maxBytes = 1024 ** 3, ...options }: StoreOptions & { maxBytes?: number } = {},
): Promise<Uint8Array> {
  const wanted = { keys, cluster, era, segment, tag };
  const { stored, key } = await readStored(repository, wanted, { ...options, maxBytes });
  try {
    return await openStored(wanted, stored, key, { ...options, maxBytes });
  } catch (error) {
    if (!hasCode(error, 'object-damaged', 'key-missing')) throw error;
    const fresh = await rereadKeys(keys).catch(() => keys); // what is wrong with the file is for who opens it next
    if (fresh === keys) throw error;
    return openStored({ ...wanted, keys: fresh }, stored, key, { ...options, maxBytes });
  }
}

/** A cluster's WAL has one suffix; where it has the other one, what the bytes are decides, and the tag has the last word. */
async function readStored(
  { store }: Repository,
  { keys, cluster, era, segment, tag }: Wanted,
  options: Options,
): Promise<{ stored: Buffer; key: string }> {
  // Bytes that do not compress become a little longer.
  const maxBytes = options.maxBytes + (options.maxBytes >> 6) + 1024 * 1024;
  const usual = suffixOf(sealingFor(keys));
  const key = walKey(cluster, era, segment, tag, usual);
  try {
    return { stored: await readBytes(store, key, { ...options, maxBytes }), key };
  } catch (error) {
    if (!hasCode(error, 'object-missing')) throw error;
    const other = walKey(cluster, era, segment, tag, usual === '.zst' ? '.zst.enc' : '.zst');
    const stored = await readBytes(store, other, { ...options, maxBytes }).catch((thrown: unknown) => {
      throw hasCode(thrown, 'object-missing') ? error : thrown;
    });
    return { stored, key: other };
  }
}

/** WAL does not say which key set sealed it, only with which cipher: the sets of that one are tried, the newest first. */
async function openStored(wanted: Wanted, stored: Buffer, key: string, options: Options): Promise<Uint8Array> {
  const { keys, cluster, era, segment, tag } = wanted;
  let damage: PgproofError | undefined;
  for (const sealing of candidateSealings(segment, stored, keys)) {
    try {
      const plain = await decodeBytes(stored, sealing, associatedData(key), options);
      if (tagOf(keys, cluster, era, segment, plain) === tag) return plain;
      damage ??= untrusted(segment, 'its content does not fit its tag');
    } catch (error) {
      if (!hasCode(error, 'object-damaged')) throw error;
      damage ??= untrusted(segment, error.message, error);
    }
  }
  throw damage;
}

/**
 * The sealings that an object which begins like this may have been sealed with; never none.
 * @param name what to call it in an error.
 * @throws {PgproofError} `object-damaged` for what is nothing of ours; `key-missing`, `key-write-only`.
 */
export function candidateSealings(name: string, firstBytes: Uint8Array, keys: KeyRing): Sealing[] {
  const ciphers = recognizedCiphers(firstBytes);
  const [first] = ciphers;
  if (first === undefined) throw untrusted(name, 'it begins like nothing that was ever stored');
  if (first === 'none') return [{ cipher: 'none' }];
  const sets = keys.all.filter(({ cipher }) => ciphers.includes(cipher));
  const [newest] = sets;
  if (newest === undefined) throw noKeyFor(name, ciphers, keys);
  const opening = sets.filter(opens);
  return opening.length === 0 ? [openingWith(newest)] : opening.map(openingWith);
}

function noKeyFor(name: string, ciphers: readonly Cipher[], keys: KeyRing): PgproofError {
  const cipher = ciphers.length === 1 ? ciphers[0] : 'AES-CBC';
  const have = keys.current === null ? 'no key is configured' : 'the configured key file has no key set for that';
  return new PgproofError('key-missing', `the archived file ${name} is sealed with ${cipher}, and ${have}`, {
    facts: { name, ciphers: [...ciphers], configured: keys.current?.id ?? null },
    hint: 'Configure the key file that the cluster is kept with. A wrapped one comes back with: pgproof key unwrap.',
  });
}
