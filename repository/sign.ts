import { sign, verify } from 'node:crypto';
import { PgproofError } from '../core/errors.ts';
import { canonicalBytes } from './document.ts';
import { type KeyRing, missingKey } from './keys.ts';
import type { Signature } from './record.ts';

/** A record of a backup, or of a dump. */
type Signable = { id: string; keyId: string | null };

/**
 * Signs the canonical JSON of everything but the signature; without a key the record says that it is not signed. Where the set
 * that sealed it still signs, it signs the record, too: a commit that is repeated after a rotation writes the same bytes.
 */
export function signRecord<Unsigned extends Signable>(
  record: Unsigned,
  keys: KeyRing,
): Unsigned & { signature: Signature | null } {
  if (keys.current === null) return { ...record, signature: null };
  const sealedWith = record.keyId === null ? undefined : keys.find(record.keyId);
  const { id, signingKey } = sealedWith?.signingKey
    ? { ...sealedWith, signingKey: sealedWith.signingKey }
    : keys.current;
  const ed25519 = sign(null, canonicalBytes(record), signingKey).toString('base64');
  return { ...record, signature: { keyId: id, ed25519 } };
}

/**
 * The verifying key comes from the key file, never from the store.
 * @param document the JSON as it was read, with fields this version does not know: they are signed too.
 * @throws {PgproofError} `signature-invalid`, also for an unsigned record where keys are configured; `key-missing`.
 */
export function verifySignature(
  document: Record<string, unknown>,
  record: Signable & { signature: Signature | null },
  keys: KeyRing,
): void {
  if (record.signature === null) {
    if (keys.current === null) return;
    throw invalid(record, 'it is not signed, although a key is configured');
  }
  const set = keys.find(record.signature.keyId);
  if (set === undefined) throw missingKey(record.signature.keyId, keys);
  const { signature: _, ...unsigned } = document;
  const sound = verify(null, canonicalBytes(unsigned), set.verifyKey, Buffer.from(record.signature.ed25519, 'base64'));
  if (!sound) throw invalid(record, 'its signature does not fit its content');
}

function invalid({ id, signature }: Parameters<typeof verifySignature>[1], why: string): PgproofError {
  return new PgproofError('signature-invalid', `the record of ${id} is not authentic: ${why}`, {
    facts: { id, keyId: signature?.keyId ?? null },
    hint: 'Do not restore from it. Somebody or something changed it after it was written.',
  });
}
