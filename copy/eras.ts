import { PgproofError } from '../core/errors.ts';
import { maxDocumentBytes, parseDocument } from '../repository/document.ts';
import { listEras } from '../repository/eras.ts';
import { eraKey, eraPrefix } from '../repository/layout.ts';
import { type EraRecord, eraRecord } from '../repository/record.ts';
import type { Copying } from './copying.ts';
import { sendFolder } from './send.ts';
import { readSource, sendBytes } from './transfer.ts';

/**
 * Copies the declarations of the cluster's eras; returns the source's, oldest first. Everything else of an era may only be where
 * its declaration is.
 * @throws {PgproofError} `era-mismatch` when the target belongs to another cluster of this name, `record-invalid` for an era
 * that cannot be read: nothing is copied then.
 */
export async function copyEras(copying: Copying): Promise<EraRecord[]> {
  const { from, to, cluster, run } = copying;
  const { signal } = run;
  const ours = await listEras(from, cluster, { signal });
  const theirs = await listEras(to, cluster, { signal });
  for (const era of ours) assertSameLife(copying, era, theirs);
  const known = new Set(theirs.map(({ era }) => eraKey(cluster, era)));
  const objects = [];
  for await (const { key, bytes } of from.store.list(eraPrefix(cluster), { signal })) {
    // One that both declared may say other times of it, and so have another size.
    objects.push({ key, bytes, there: known.has(key) ? bytes : undefined });
  }
  await sendFolder(copying, { folder: eraPrefix(cluster), objects }, async ({ key }, stop) => {
    const bytes = await readSource(copying, key, maxDocumentBytes, stop);
    parseDocument(key, bytes, eraRecord);
    await sendBytes(copying, key, bytes, stop);
    return bytes.length;
  });
  return ours;
}

/** Two clusters that take one name for theirs must never be mixed: neither could be restored with certainty again. */
function assertSameLife({ from, to, cluster }: Copying, era: EraRecord, theirs: readonly EraRecord[]): void {
  const other = theirs.find((candidate) => candidate.era.slice(0, 4) === era.era.slice(0, 4));
  if (other === undefined) return;
  const fields = ['era', 'systemId', 'major', 'segmentBytes', 'timeline', 'keyId', 'walKeyId'] as const;
  const withWalKey = ({ walKeyId, ...rest }: EraRecord) => ({ ...rest, walKeyId: walKeyId ?? rest.keyId });
  const different = fields.find((field) => withWalKey(era)[field] !== withWalKey(other)[field]);
  if (different === undefined) return;
  throw new PgproofError(
    'era-mismatch',
    `'${cluster}' of repository '${to.name}' is another cluster than that of '${from.name}': ${era.era} there is ${other.era}, and their ${different} differs`,
    {
      facts: { cluster, from: from.name, to: to.name, era: era.era, other: other.era, field: different },
      hint: `Give clusters.${cluster}.repositories another repository. Nothing was copied.`,
    },
  );
}
