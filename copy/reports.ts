import * as z from 'zod';
import { maxDocumentBytes, parseDocument } from '../repository/document.ts';
import { reportPrefix } from '../repository/layout.ts';
import { byFolder, compare } from './compare.ts';
import type { Copying } from './copying.ts';
import { giveWay } from './give-way.ts';
import { sendFolder } from './send.ts';
import { readSource, sendBytes } from './transfer.ts';

/** No more of it is looked at: a newer pgproof may report on operations that this one does not know. */
const itself = z.object({ id: z.string(), uuid: z.uuid() });

/** Copies the reports: whoever has only the copy left also has the proof of the drills. */
export async function copyReports(copying: Copying): Promise<void> {
  const { cluster, tally } = copying;
  tally.begin('reports');
  const compared = compare(copying, reportPrefix(cluster));
  for await (const folder of byFolder(compared)) {
    await sendFolder(copying, folder, async ({ key, there }, signal) => {
      const bytes = await readSource(copying, key, maxDocumentBytes, signal);
      parseDocument(key, bytes, itself);
      if (there !== undefined) await giveWay(copying, key, signal);
      await sendBytes(copying, key, bytes, signal);
      return bytes.length;
    });
  }
}
