import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { syncFolder, writeDurably } from '../storage/durable-file.ts';
import { markerName } from './folder.ts';

const marker = z.object({
  formatVersion: z.literal(1),
  planId: z.string(),
  cluster: z.string(),
  beganAt: z.iso.datetime(),
  /** `fetching`: what lies there counts for nothing. `recovering`: files are whole and verified, PostgreSQL works on them. */
  phase: z.enum(['fetching', 'recovering']),
});

/** What a folder says of the restore that began in it. It goes when the restore is done. */
export type Marker = z.infer<typeof marker>;

/** Null where none began. */
export async function readMarker(folder: string): Promise<Marker | null> {
  try {
    return marker.parse(JSON.parse(await readFile(join(folder, markerName), 'utf8')));
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return null;
    throw new PgproofError(
      'target-folder',
      `'${join(folder, markerName)}' is not readable, so nobody knows what began there`,
      {
        facts: { path: folder },
        hint: 'Restore into another folder.',
        cause,
      },
    );
  }
}

/** Durable when it answers, and never seen half written. */
export async function writeMarker(folder: string, content: Marker): Promise<void> {
  await writeDurably(join(folder, markerName), JSON.stringify(content));
}

export async function removeMarker(folder: string): Promise<void> {
  await rm(join(folder, markerName), { force: true });
  await syncFolder(folder);
}
