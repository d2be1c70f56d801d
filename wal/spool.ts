import { createHash } from 'node:crypto';
import { type BigIntStats, createReadStream } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type WalFileKind, walFileKind } from '../core/segment.ts';
import { syncFolder } from '../storage/durable-file.ts';

/**
 * The spool is where WAL is safe between PostgreSQL, which has forgotten it, and the repository, which does not have it yet.
 * `archive-wal` only adds files to `incoming`; whoever holds the spool's lock, and nobody else, takes them away.
 */
export type Spool = {
  root: string;
  /** Published whole under PostgreSQL's own names; hidden names are copies in the making. */
  incoming: string;
  /** Refused files with their reasons, `<name>-<tag>` and `<name>-<tag>.json`. Only a person deletes from it. */
  foreign: string;
  /** Partial segments of timelines that ended. Only a person deletes from it. */
  partial: string;
};

export type SpoolFile = {
  name: string;
  path: string;
  /** Undefined for a name that PostgreSQL never gives to archive_command. */
  kind: WalFileKind | undefined;
  bytes: number;
  inode: bigint;
  /** Tells this very file from another one under the same name: its inode, the time of its last byte, its size. */
  identity: string;
};

export function spoolAt(root: string): Spool {
  return { root, incoming: join(root, 'incoming'), foreign: join(root, 'foreign'), partial: join(root, 'partial') };
}

/** Makes what is missing of the spool, durably: a folder that a power cut takes away would take WAL with it. Safe to repeat. */
export async function makeSpool(root: string): Promise<Spool> {
  const spool = spoolAt(root);
  for (const folder of [spool.incoming, spool.foreign, spool.partial])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  await syncFolder(root);
  await syncFolder(dirname(root));
  return spool;
}

/** What waits to be shipped, in the order in which PostgreSQL archives: history files, then segments by name. */
export async function readSpool(spool: Spool): Promise<SpoolFile[]> {
  const files: SpoolFile[] = [];
  for (const name of await readdir(spool.incoming)) {
    if (name.startsWith('.')) continue; // archive-wal is still copying it, or died doing so and removes it itself
    const file = await spoolFile(join(spool.incoming, name), name);
    if (file !== undefined) files.push(file);
  }
  return files.sort((a, b) => order(a) - order(b) || (a.name < b.name ? -1 : 1));
}

/** Undefined when it is gone. */
export async function spoolFile(path: string, name: string): Promise<SpoolFile | undefined> {
  const facts = await lstatIfThere(path);
  if (facts === undefined) return undefined;
  const kind = facts.isFile() ? walFileKind(name) : undefined;
  const { ino: inode, size, mtimeNs } = facts;
  return { name, path, kind, bytes: Number(size), inode, identity: `${inode}-${mtimeNs}-${size}` };
}

/**
 * Takes a file out of the spool because it is durable in the repository. A file that was put in its place meanwhile stays:
 * its bytes are nowhere else. Not flushed: a file that a power cut brings back is shipped again, which changes nothing.
 */
export async function release(file: SpoolFile): Promise<void> {
  const now = await lstatIfThere(file.path);
  if (now !== undefined && now.ino === file.inode) await rm(file.path);
}

/** Puts a file into another folder of the spool, durably, before anything else can happen to its name. */
export async function moveTo(folder: string, file: SpoolFile, name: string): Promise<void> {
  await rename(file.path, join(folder, name));
  await syncFolder(folder);
  await syncFolder(dirname(file.path));
}

/** Which content it is: 32 hex of its SHA-256. Folders and links have none. */
export async function contentTag(file: SpoolFile): Promise<string> {
  if (!(await stat(file.path)).isFile()) return '0'.repeat(32);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file.path)) hash.update(chunk as Buffer);
  return hash.digest('hex').slice(0, 32);
}

const order = ({ kind }: SpoolFile): number => (kind === 'history' ? 0 : 1);

async function lstatIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
