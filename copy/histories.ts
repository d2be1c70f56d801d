import { historyFileName } from '../core/segment.ts';
import { parseHistory } from '../core/timeline.ts';
import { parseHistoryKey, timelinePrefix } from '../repository/layout.ts';
import type { EraRecord } from '../repository/record.ts';
import { tagOf } from '../repository/tag.ts';
import { untrusted } from '../repository/untrusted.ts';
import { byFolder, compare } from './compare.ts';
import type { Copying } from './copying.ts';
import { giveWay } from './give-way.ts';
import { sendFolder } from './send.ts';
import { readSource, sendBytes } from './transfer.ts';

const longest = 1024 * 1024;

/** Copies an era's history files, each compared with its tag. Before the WAL: it belongs to timelines that are adopted. */
export async function copyHistories(copying: Copying, { era }: EraRecord): Promise<void> {
  const { cluster, walKeys } = copying;
  const compared = compare(copying, timelinePrefix(cluster, era));
  for await (const folder of byFolder(compared)) {
    const objects = folder.objects.filter(({ key }) => parseHistoryKey(key) !== undefined);
    await sendFolder(copying, { ...folder, objects }, async ({ key, there }, signal) => {
      const { timeline, tag } = parseHistoryKey(key) as { timeline: number; tag: string };
      const name = historyFileName(timeline);
      const bytes = await readSource(copying, key, longest, signal);
      if (tagOf(walKeys, cluster, era, name, bytes) !== tag) throw untrusted(name, 'its content does not fit its tag');
      parseHistory(name, bytes.toString('utf8'));
      if (there !== undefined) await giveWay(copying, key, signal);
      await sendBytes(copying, key, bytes, signal);
      return bytes.length;
    });
  }
}
