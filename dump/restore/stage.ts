import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { Take } from '../../parts/reader.ts';
import { freeBytesAt } from '../../restore/folder.ts';
import { writeAll } from '../../storage/file/durable.ts';
import { withoutStanding } from '../../storage/standing.ts';
import { DirectoryUnpacker } from './directory.ts';
import type { DumpSource } from './source.ts';

const stallSeconds = 900;

/**
 * Brings the whole dump into the staging folder, as pg_restore reads it, and proves its checksum.
 * @returns the path of the file, or of the folder of a directory dump.
 * @throws {PgproofError} `no-space` before anything is written; what `source.read` throws.
 */
export async function stageDump(source: DumpSource, staging: string, run: Run): Promise<string> {
  if (source.plainBytes !== null) await refuseWithoutRoom(staging, source.plainBytes);
  const path = join(staging, 'dump');
  const fetched = source.format === 'directory' ? fetchDirectory : fetchFile;
  const stands = () =>
    new PgproofError('store-unreachable', `nothing of the dump ${source.what} has come for ${stallSeconds} s`);
  await withoutStanding(run, stallSeconds, stands, (watched) => fetched(source, path, watched));
  return path;
}

/** @throws {PgproofError} `no-space` */
export async function refuseWithoutRoom(staging: string, bytes: number): Promise<void> {
  const freeBytes = await freeBytesAt(staging);
  if (freeBytes >= bytes) return;
  throw new PgproofError('no-space', `the dump needs ${bytes} bytes at '${staging}', and ${freeBytes} are free`, {
    facts: { path: staging, requiredBytes: bytes, freeBytes },
    hint: 'Make room there. With --jobs 1 custom and tar dumps of one database need no copy; plain ones of one need none ever.',
  });
}

async function fetchFile(source: DumpSource, path: string, run: Run): Promise<void> {
  let file: FileHandle | undefined = await open(path, 'wx', 0o600);
  try {
    const take: Take = async (chunk, giveBack) => {
      await writeAll(file as FileHandle, chunk);
      giveBack?.();
      run.progress({ phase: 'fetch' });
    };
    const again = async (): Promise<void> => {
      await file?.close();
      file = undefined;
      await rm(path);
      file = await open(path, 'wx', 0o600);
    };
    await source.read('dump', take, run, again);
  } finally {
    await file?.close();
  }
}

/**
 * Where pg_restore reads a dump's list: of a directory a folder with its toc.dat alone, and no more of the stream than that takes, because
 * pg_dump writes it first; null: the dump's own stream, which begins with it.
 */
export async function stageList(source: DumpSource, staging: string, run: Run): Promise<string | null> {
  if (source.format !== 'directory') return null;
  const path = join(staging, 'list');
  const enough = new AbortController();
  const unpacker = await DirectoryUnpacker.into(path, 'toc.dat');
  try {
    const take = async (chunk: Buffer): Promise<void> => {
      if (enough.signal.aborted) return;
      await unpacker.take(chunk);
      if (unpacker.hasOnly) enough.abort();
    };
    await source.read('dump', take, { ...run, signal: AbortSignal.any([run.signal, enough.signal]) });
  } catch (error) {
    if (run.signal.aborted || !enough.signal.aborted) throw error;
  } finally {
    await unpacker.close();
  }
  return path;
}

async function fetchDirectory(source: DumpSource, path: string, run: Run): Promise<void> {
  let unpacker = await DirectoryUnpacker.into(path);
  const take: Take = async (chunk, giveBack) => {
    await unpacker.take(chunk);
    giveBack?.();
    run.progress({ phase: 'fetch' });
  };
  const again = async (): Promise<void> => {
    await unpacker.close();
    await rm(path, { recursive: true, force: true });
    unpacker = await DirectoryUnpacker.into(path);
  };
  try {
    await source.read('dump', take, run, again);
    unpacker.finish();
  } finally {
    await unpacker.close();
  }
}
