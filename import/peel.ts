import { gunzipSync, constants as zlib } from 'node:zlib';
import { type CbcCipher, CbcOpener } from '../codec/cbc.ts';
import { PgproofError } from '../core/errors.ts';
import { type Content, contentOf, isGzip, isSalted } from './content.ts';

export const cbcCiphers = ['aes-256-cbc', 'aes-192-cbc', 'aes-128-cbc'] as const satisfies readonly CbcCipher[];

/** Of what files that `openssl enc` made are opened with. `cipher` null: the one that gives something sensible. */
export type Opening = { passphrase: string | null; cipher: CbcCipher | null };

/** One wrapping of a file: `gzip`, or the cipher. */
export type Layer = 'gzip' | CbcCipher;

/** `layers` from the outside in; `head`: the first bytes of what is within. */
export type Peeled = { layers: Layer[]; content: Content; head: Buffer };

/** What is read of a file to tell what it is. */
export const headBytes = 8192;
/** gzip, encrypted and gzip again: what is deeper was not made by a script. */
const deepest = 3;

/**
 * What a file is, told by its first bytes alone: at most three ciphers are tried on some kilobytes, so that a wrong passphrase is
 * found before any long work.
 * @param isWhole the head is all of the file.
 * @throws {PgproofError} `passphrase-missing`, `passphrase-wrong`, `object-damaged`
 */
export function peel(head: Buffer, isWhole: boolean, opening: Opening, depth = 0): Peeled {
  if (depth < deepest && isSalted(head)) return decipher(head, isWhole, opening, depth);
  if (depth < deepest && isGzip(head)) return within('gzip', inflated(head), isWhole, opening, depth);
  return { layers: [], content: contentOf(head), head };
}

function within(layer: Layer, inner: Buffer, isWhole: boolean, opening: Opening, depth: number): Peeled {
  const rest = peel(inner.subarray(0, headBytes), isWhole && inner.length <= headBytes, opening, depth + 1);
  return { ...rest, layers: [layer, ...rest.layers] };
}

function decipher(head: Buffer, isWhole: boolean, opening: Opening, depth: number): Peeled {
  const { passphrase, cipher } = opening;
  if (passphrase === null) throw passphraseMissing();
  const tried = cipher === null ? cbcCiphers : [cipher];
  for (const each of tried) {
    const inner = opened(head, isWhole, each, passphrase);
    const peeled = inner === null ? null : sensible(() => within(each, inner, isWhole, opening, depth));
    if (peeled !== null) return peeled;
  }
  // A small one may have been cut: that shows when it is read to its end.
  if (isWhole) return decipher(head, false, opening, depth);
  throw new PgproofError('passphrase-wrong', `the passphrase opens it with none of ${tried.join(', ')}`, {
    facts: { ciphers: [...tried] },
    hint: 'Give the passphrase that the script had when it made this file; it opens only what `openssl enc -pbkdf2 -salt` made.',
  });
}

/** Null where it shows already that this is not how it was encrypted. */
function opened(head: Buffer, isWhole: boolean, cipher: CbcCipher, passphrase: string): Buffer | null {
  const opener = new CbcOpener(cipher, passphrase);
  const plain = opener.update(head);
  if (!isWhole) return Buffer.concat(plain);
  try {
    return Buffer.concat([...plain, ...opener.final()]);
  } catch {
    return null;
  }
}

function sensible(look: () => Peeled): Peeled | null {
  try {
    const peeled = look();
    return peeled.content === 'other' ? null : peeled;
  } catch (error) {
    if (error instanceof PgproofError && error.code === 'object-damaged') return null;
    throw error;
  }
}

/** As much as the head gives; whether the end is there shows when all is read. */
function inflated(head: Buffer): Buffer {
  try {
    return gunzipSync(head, { finishFlush: zlib.Z_SYNC_FLUSH });
  } catch (cause) {
    throw new PgproofError('object-damaged', 'its gzip data is damaged', { cause });
  }
}

function passphraseMissing(): PgproofError {
  return new PgproofError('passphrase-missing', 'it is encrypted, and there is no passphrase', {
    hint: 'Give --passphrase-file FILE (mode 0600), or --passphrase-env NAME.',
  });
}
