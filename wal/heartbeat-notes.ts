import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type Lsn, parseLsn } from '../core/lsn.ts';

const heartbeat = z.object({
  sequence: z.number().int(),
  /** The server's clock when the row was written, ISO-8601 UTC. */
  at: z.iso.datetime(),
  /** Where the server's WAL ended once the row was committed: archived up to here, the row is restorable. */
  lsn: z.string().transform((text): Lsn => parseLsn(text)),
  timeline: z.number().int().positive(),
});
export type Heartbeat = z.output<typeof heartbeat>;

/** About a day of beats every ten seconds, in less than a megabyte. */
const mostNotes = 8192;

const notesFile = (state: string): string => join(state, 'heartbeats.jsonl');

/** Each note begins a line of its own, so that an unfinished one before it spoils no other. */
export async function addHeartbeat(state: string, beat: Heartbeat): Promise<void> {
  await appendFile(notesFile(state), `\n${JSON.stringify(beat)}`, { mode: 0o600 });
}

/** All notes, oldest first. */
export async function readHeartbeats(state: string): Promise<Heartbeat[]> {
  let text: string;
  try {
    text = await readFile(notesFile(state), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return text.split('\n').flatMap(parseLine);
}

/**
 * Keeps the file small, whatever the outage: of the older half every second note goes. An RPO that is measured with what is
 * left is never better than the truth.
 */
export async function thinHeartbeats(state: string): Promise<void> {
  const notes = await readHeartbeats(state);
  if (notes.length <= mostNotes) return;
  const kept = notes.filter((_note, index) => index >= notes.length / 2 || index % 2 === 0);
  const path = notesFile(state);
  await writeFile(`${path}.new`, kept.map((note) => `\n${JSON.stringify(note)}`).join(''), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** A line that a killed writer left unfinished is no heartbeat; without it RPO only looks worse. */
function parseLine(line: string): Heartbeat[] {
  try {
    return [heartbeat.parse(JSON.parse(line))];
  } catch {
    return [];
  }
}
