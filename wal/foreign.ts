import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { PgproofError } from '../core/errors.ts';
import { writeDurably } from '../storage/durable-file.ts';
import { contentTag, moveTo, type Spool, type SpoolFile, spoolFile } from './spool.ts';

/** A file that archive_command was given and that is not ours, as far as anybody knows. It is kept until a person discards it. */
export type ForeignFile = {
  /** PostgreSQL's name for it. */
  file: string;
  /** 32 hex of its SHA-256. */
  tag: string;
  bytes: number;
  reason: string;
  code: string;
  refusedAt: string | null;
};

const reasonRecord = z.object({ reason: z.string(), code: z.string(), refusedAt: z.string() });

/** Takes a file out of the way of others, with its reason. The same content refused twice is kept once. */
export async function refuse(spool: Spool, file: SpoolFile, why: PgproofError): Promise<void> {
  const name = `${file.name}-${await contentTag(file)}`;
  const reason = { reason: why.message, code: why.code, refusedAt: new Date().toISOString() };
  const path = join(spool.foreign, `${name}.json`);
  // First, so that no file is ever there without its reason.
  await writeDurably(path, JSON.stringify(reason));
  await moveTo(spool.foreign, file, name);
}

export async function listForeign(spool: Spool): Promise<ForeignFile[]> {
  const found: ForeignFile[] = [];
  for (const { file, tag } of await foreignFiles(spool)) {
    const reason = await readReason(join(spool.foreign, `${file.name}-${tag}.json`));
    found.push({ file: file.name, tag, bytes: file.bytes, ...reason });
  }
  return found;
}

/** The refused files themselves, by name. */
export async function foreignFiles(spool: Spool): Promise<{ file: SpoolFile; tag: string }[]> {
  const found: { file: SpoolFile; tag: string }[] = [];
  for (const entry of (await readdir(spool.foreign)).sort()) {
    const match = /^(.+)-([0-9a-f]{32})$/.exec(entry);
    if (match === null) continue; // a reason, which is read with its file
    const file = await spoolFile(join(spool.foreign, entry), match[1] as string);
    if (file !== undefined) found.push({ file, tag: match[2] as string });
  }
  return found;
}

/** Deletes it for good, or because it is in the repository after all. */
export async function removeForeign(spool: Spool, name: string, tag: string): Promise<void> {
  await rm(join(spool.foreign, `${name}-${tag}`), { recursive: true });
  await rm(join(spool.foreign, `${name}-${tag}.json`), { force: true });
}

async function readReason(path: string): Promise<{ reason: string; code: string; refusedAt: string | null }> {
  try {
    return reasonRecord.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return { reason: 'its reason cannot be read', code: 'wal-foreign', refusedAt: null };
  }
}
