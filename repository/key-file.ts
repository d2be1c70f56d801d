import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { type KeyFileDocument, type KeySetDocument, keyFileDocument, keySetOf, newKeySet } from './key-set.ts';
import { type KeyCipher, type KeyRing, type KeySet, keyRing } from './keys.ts';
import { readPrivateFile, stateIn } from './private-file.ts';
import { createPrivateFile } from './private-file-write.ts';

/**
 * @throws {PgproofError} `key-file-missing`; `key-file-open` when group or others may use it; `key-file-invalid`, which
 * quotes nothing of the content.
 */
export async function readKeyFile(path: string): Promise<KeyRing> {
  return (await openKeyFile(path)).keys;
}

/** The same with the document it was made from, for who writes another one. It holds secrets: it goes into key files only. */
export async function openKeyFile(path: string): Promise<{ keys: KeyRing; document: KeyFileDocument }> {
  const { text, ...file } = await readPrivateFile(path, 'key file');
  const document = parseKeyFile(text, path);
  return { keys: keyRing(setsIn(document, path), file), document };
}

/**
 * Makes a key file with one new key set, mode 0600; folders above it are made 0700.
 * @returns the absolute path.
 * @throws {PgproofError} `key-file-exists` when the file is there: a key is never overwritten; `file-unwritable`, `no-space`.
 */
export async function generateKeyFile(
  path: string,
  cipher: KeyCipher = 'aes-256-gcm',
): Promise<{ keyId: string; path: string }> {
  const set = newKeySet(cipher);
  const absolute = resolve(path);
  await createPrivateFile(absolute, keyFileText([set]));
  return { keyId: set.id, path: absolute };
}

/** The text of a key file with these sets, newest first. */
export const keyFileText = (keySets: readonly KeySetDocument[]): string =>
  `${JSON.stringify({ formatVersion: 1, keySets }, null, 2)}\n`;

/** @throws {PgproofError} `key-file-invalid`, which quotes nothing of it. @param path what to call it. */
export function parseKeyFile(text: string, path: string): KeyFileDocument {
  const parsed = keyFileDocument.safeParse(jsonOf(text));
  if (!parsed.success) throw invalid(path, parsed.error.issues[0]?.path.join('.') ?? '');
  setsIn(parsed.data, path);
  return parsed.data;
}

/**
 * The key ring as its file has it now: the same one where nothing changed.
 * @throws {PgproofError} what `readKeyFile` throws; `key-wrong` for a file that is no rotation of this ring: it has another
 * identity key, or lost a set.
 */
export async function rereadKeys(keys: KeyRing): Promise<KeyRing> {
  if (keys.file === null) return keys;
  const { path, state } = keys.file;
  const now = await stat(path, { bigint: true }).catch(() => undefined);
  if (now !== undefined && stateIn(now) === state) return keys;
  const fresh = await readKeyFile(path);
  const lost = keys.all.find(({ id }) => fresh.find(id) === undefined);
  if (lost === undefined && sameIdentity(keys, fresh)) return fresh;
  throw new PgproofError(
    'key-wrong',
    `the key file '${path}' was replaced by one that ${lost === undefined ? 'has another identity key' : `lacks the key set '${lost.id}'`}`,
    {
      facts: { path, keyId: lost?.id ?? null, configured: fresh.current?.id ?? null },
      hint: 'Put the old file back, and rotate it with: pgproof key rotate. Until then this process works on with the key it has.',
    },
  );
}

function sameIdentity(a: KeyRing, b: KeyRing): boolean {
  return Buffer.compare(a.identityKey ?? Buffer.alloc(0), b.identityKey ?? Buffer.alloc(0)) === 0;
}

function setsIn({ keySets }: KeyFileDocument, path: string): KeySet[] {
  const sets = keySets.map((document, index): KeySet => {
    const set = keySetOf(document);
    if (typeof set === 'string') throw invalid(path, `keySets.${index}.${set}`);
    return set;
  });
  const [first] = sets as [KeySet, ...KeySet[]];
  if (first.sealing === null) throw invalid(path, 'keySets.0.signingKey');
  if (sets.some(({ identityKey }) => Buffer.compare(identityKey, first.identityKey) !== 0))
    throw invalid(path, 'identityKey');
  if (new Set(sets.map(({ id }) => id)).size < sets.length) throw invalid(path, 'id');
  return sets;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // reported as invalid; the parser's message would quote the content
  }
}

function invalid(path: string, where: string): PgproofError {
  return new PgproofError('key-file-invalid', `'${path}' is not a key file${where === '' ? '' : ` (at ${where})`}`, {
    facts: { path, at: where },
    hint: 'A key file is made by `pgproof key generate` and never edited.',
  });
}
