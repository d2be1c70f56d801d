import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';

const problem = z.object({ code: z.string(), message: z.string(), hint: z.string().nullable().default(null) });

/** What the shipper last said of one repository: for people and for error messages. What is archived, the repository alone knows. */
const shipperNotes = z.object({
  pid: z.number().int(),
  at: z.string(),
  lastShipped: z.string().nullable(),
  lastShippedAt: z.string().nullable(),
  /** Null once a pass went through. */
  lastError: problem.extend({ at: z.string() }).nullable(),
  /** Files that wait in the spool for somebody's word, with the reason; at most 20 of them. */
  waiting: z.array(problem.extend({ file: z.string() })),
});
export type ShipperNotes = z.infer<typeof shipperNotes>;

const notesFile = (state: string, repository: string): string => join(state, `shipper-${repository}.json`);

/** Replaced, never written over: a reader sees the old notes or the new ones. Not flushed, because they prove nothing. */
export async function writeShipperNotes(state: string, repository: string, notes: ShipperNotes): Promise<void> {
  const path = notesFile(state, repository);
  await writeFile(`${path}.new`, `${JSON.stringify(notes)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Undefined where no shipper ever ran, or its notes are not readable: they are no one's proof of anything. */
export async function readShipperNotes(state: string, repository: string): Promise<ShipperNotes | undefined> {
  try {
    return shipperNotes.parse(JSON.parse(await readFile(notesFile(state, repository), 'utf8')));
  } catch {
    return undefined;
  }
}
