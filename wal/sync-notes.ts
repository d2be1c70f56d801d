import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';

/** What the last filed report of `wal sync` said, so that the next run knows whether it has anything new to tell. */
const syncNotes = z.object({
  /** `kept`, or the code of the error that the run ended with. */
  answer: z.string(),
  /** Of that report. */
  report: z.string(),
  filedAt: z.iso.datetime(),
});
export type SyncNotes = z.infer<typeof syncNotes>;

const notesFile = (state: string): string => join(state, 'wal-sync.json');

/** Undefined where there are none that can be read: then everything is news. */
export async function readSyncNotes(state: string): Promise<SyncNotes | undefined> {
  try {
    return syncNotes.parse(JSON.parse(await readFile(notesFile(state), 'utf8')));
  } catch {
    return undefined;
  }
}

export async function writeSyncNotes(state: string, notes: SyncNotes): Promise<void> {
  const path = notesFile(state);
  await writeFile(`${path}.new`, `${JSON.stringify(notes)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
