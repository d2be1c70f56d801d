import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import { type SegmentName, walFileKind } from '../../core/segment.ts';
import { TarReader } from '../../postgres/tar/reader.ts';
import { openFile } from '../file.ts';
import type { Opening } from '../peel.ts';
import type { OldBase, OldWal } from './layout.ts';

/** PostgreSQL's largest segment. */
const maxSegmentBytes = 1024 ** 3;

/** The plain bytes of a small file: a segment, a history, a label. @throws {PgproofError} `object-damaged`, as `openFile`. */
export async function readPlain(path: string, opening: Opening, signal: AbortSignal): Promise<Buffer> {
  const file = await openFile(path, opening);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of file.plain(signal)) {
    bytes += chunk.length;
    if (bytes > maxSegmentBytes)
      throw new PgproofError('object-damaged', `'${path}' has more than ${maxSegmentBytes} bytes`, { facts: { path } });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Unpacks the segments that a base backup brought with it (`pg_basebackup -X stream`) and that `wal` lacks into `folder`, which is
 * made. Its last one may be shorter than the archive's of the same name, and is filled with zeros: the archive's counts.
 * @returns all its segments' names; the paths of those that were unpacked.
 */
export async function unpackOwnWal(
  base: OldBase,
  { segments }: OldWal,
  folder: string,
  opening: Opening,
  signal: AbortSignal,
): Promise<{ names: SegmentName[]; paths: Map<SegmentName, string> }> {
  const paths = new Map<SegmentName, string>();
  const names: SegmentName[] = [];
  const archive = base.archives.get('pg_wal');
  if (archive === undefined) return { names, paths };
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = await openFile(archive, opening);
  const reader = new TarReader();
  let out: FileHandle | null = null;
  try {
    for await (const chunk of file.plain(signal)) {
      for (const event of reader.read(chunk)) {
        if (event.kind === 'content') await out?.appendFile(event.bytes);
        else if (event.kind === 'end') {
          await out?.close();
          out = null;
        } else if (event.entry.kind === 'file' && walFileKind(event.entry.name) === 'segment') {
          const name = event.entry.name as SegmentName;
          names.push(name);
          if (segments.has(name)) continue;
          paths.set(name, join(folder, name));
          out = await open(join(folder, name), 'wx', 0o600);
        }
      }
    }
    reader.finish();
  } catch (error) {
    throw isFull(error) ? noSpace(folder, error) : error;
  } finally {
    await out?.close();
  }
  return { names, paths };
}

const isFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes(String((error as NodeJS.ErrnoException).code));

const noSpace = (path: string, cause: unknown): PgproofError =>
  new PgproofError('no-space', `there is no space for the WAL of pg_wal.tar in '${path}'`, {
    facts: { path },
    hint: 'Free some space there: it is needed for as long as this takes.',
    cause,
  });
