import { maxDocumentBytes, parseDocument } from '../repository/document.ts';
import { keysPrefix } from '../repository/layout.ts';
import { type EraRecord, wrapperRecord } from '../repository/record.ts';
import { byFolder, compare } from './compare.ts';
import type { Copying } from './copying.ts';
import { sendFolder } from './send.ts';
import { readSource, sendBytes } from './transfer.ts';

/**
 * Copies the wrapped forms of the cluster's key sets: with them, and a passphrase or an identity, a fresh host needs nothing but
 * the copy. Key sets of other clusters stay where they are.
 */
export async function copyWrappedKeys(copying: Copying, eras: readonly EraRecord[]): Promise<void> {
  const { keys, walKeys } = copying;
  const ofEras = eras.flatMap(({ keyId, walKeyId }) => [keyId, walKeyId ?? null]);
  const ofRings = [...keys.all, ...walKeys.all].map(({ id }) => id);
  const ids = new Set([...ofEras, ...ofRings].filter((id) => id !== null));
  for (const id of [...ids].sort()) {
    const compared = compare(copying, `${keysPrefix}${id}/`);
    for await (const folder of byFolder(compared)) {
      await sendFolder(copying, folder, async ({ key, there }, signal) => {
        // Wrapped for the same recipient in both: each opens, and a wrapped key is never replaced.
        if (there !== undefined) return undefined;
        const bytes = await readSource(copying, key, maxDocumentBytes, signal);
        parseDocument(key, bytes, wrapperRecord);
        await sendBytes(copying, key, bytes, signal);
        return bytes.length;
      });
    }
  }
}
