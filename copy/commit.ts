import { readRecord } from '../repository/catalogue.ts';
import { commitDocument } from '../repository/commit.ts';
import { maxDocumentBytes } from '../repository/document.ts';
import { backupKey } from '../repository/layout.ts';
import type { BackupRecord } from '../repository/record.ts';
import type { Copying } from './copying.ts';
import { holding } from './holding.ts';
import { readSource } from './transfer.ts';

/**
 * Writes the commit file as the source has it: from then on the backup exists at the target.
 * @throws {PgproofError} `backup-deleted` when it was given up there, or deleted at the source, while it was copied; `object-exists`
 * when the target has another record of this id.
 */
export async function commitCopy(copying: Copying, { era, id }: BackupRecord): Promise<void> {
  const { from, to, cluster, keys, run, tally } = copying;
  const { signal } = run;
  const key = backupKey(cluster, era, id);
  const bytes = await readSource(copying, key, maxDocumentBytes, signal);
  // These very bytes are the signed record, not those of an earlier read.
  const record = await readRecord({ ...from, store: holding(key, bytes) }, keys, cluster, era, id, { signal });
  await commitDocument(to, record, bytes, { signal, copiedFrom: from });
  tally.sent(bytes.length);
  tally.backups.push(id);
}
