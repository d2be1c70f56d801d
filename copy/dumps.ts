import { writeCommitFile } from '../repository/commit-file.ts';
import { maxDocumentBytes } from '../repository/document.ts';
import { type DumpEntry, dumpParts, readDumpRecord } from '../repository/dumps.ts';
import { dumpKey } from '../repository/layout.ts';
import type { DumpRecord } from '../repository/record.ts';
import { dumpShelf } from '../repository/shelf.ts';
import type { Copying } from './copying.ts';
import { holding } from './holding.ts';
import { copyOne, lackingOn } from './lacking.ts';
import { copyParts } from './parts.ts';
import { readSource } from './transfer.ts';

/** Copies the dumps that the target lacks, or holds in part; the newest first. */
export async function copyDumps(copying: Copying, entries: readonly DumpEntry[]): Promise<void> {
  const shelf = dumpShelf(copying.cluster);
  const { wanted, exists } = await lackingOn(copying, shelf, entries);
  for (const record of [...wanted.values()].reverse()) {
    await copyOne(copying, shelf, record.id, async () => {
      await copyParts(copying, shelf, record.id, dumpParts(record));
      if (!exists(record.id)) await commitCopy(copying, record);
    });
  }
}

/** Writes the commit file as the source has it: from then on the dump exists at the target. */
async function commitCopy(copying: Copying, { id }: DumpRecord): Promise<void> {
  const { from, to, cluster, keys, run, tally } = copying;
  const { signal } = run;
  const key = dumpKey(cluster, id);
  const bytes = await readSource(copying, key, maxDocumentBytes, signal);
  // These very bytes are the signed record, not those of an earlier read.
  await readDumpRecord({ ...from, store: holding(key, bytes) }, keys, cluster, id, { signal });
  await writeCommitFile(to, dumpShelf(cluster), id, bytes, { signal, copiedFrom: from });
  tally.sent(bytes.length);
  tally.dumps.push(id);
}
