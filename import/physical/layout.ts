import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import { type SegmentName, type TimelineId, timelineOf, walFileKind } from '../../core/segment.ts';

/*
 * What backup.sh left: base/base_YYYYMMDD_HHMMSS/ with tar archives, and wal/ with what archive_command copied. Each file may be
 * compressed, encrypted, or both; its bytes tell, its suffix only what it is called.
 */

/** One base backup, as files; nothing of it was read. */
export type OldBase = {
  /** `base_20260114_120000`. */
  name: string;
  folder: string;
  /** By `base`, `pg_wal`, or the OID of a tablespace. */
  archives: ReadonlyMap<string, string>;
  /** PostgreSQL's backup_manifest; null where there is none. */
  manifest: string | null;
  /** What the script noted; null where it did not. */
  info: string | null;
  storedBytes: number;
};

/** Paths by name. A segment may lie there in several forms: copied again after it was compressed. */
export type OldWal = {
  segments: ReadonlyMap<SegmentName, readonly string[]>;
  histories: ReadonlyMap<TimelineId, string>;
  /** `<segment>.<offset>.backup`, which tells when a base backup ended; by that name. */
  labels: ReadonlyMap<string, string>;
  /** Names that are no WAL. */
  others: readonly string[];
};

const baseName = /^base_\d{8}_\d{6}$/;
const archiveName = /^(base|pg_wal|\d+)\.tar$/;

/** The base backups below `dir`, oldest first; `dir` is the script's folder of backups, or its folder `base`, or one of them. */
export async function findBases(dir: string): Promise<OldBase[]> {
  const found: OldBase[] = [];
  for (const folder of await foldersOf(dir)) found.push(await readBase(folder));
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws {PgproofError} `backup-missing` names those that are there. */
export async function findBase(dir: string, name: string): Promise<OldBase> {
  const bases = await findBases(dir);
  const base = bases.find((one) => one.name === name);
  if (base !== undefined) return base;
  throw new PgproofError('backup-missing', `there is no base backup '${name}' in '${dir}'`, {
    facts: { path: dir, base: name, known: bases.map((one) => one.name) },
    hint:
      bases.length === 0
        ? 'Name the folder that holds base/ and wal/.'
        : `There are: ${bases.map((one) => one.name).join(', ')}.`,
  });
}

/** What lies in wal/; empty where there is no such folder. */
export async function findWal(dir: string): Promise<OldWal> {
  const segments = new Map<SegmentName, string[]>();
  const histories = new Map<TimelineId, string>();
  const labels = new Map<string, string>();
  const others: string[] = [];
  const folder = join(dir, 'wal');
  for (const name of (await entriesOf(folder))
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort()) {
    const bare = withoutSuffixes(name);
    const kind = walFileKind(bare);
    const path = join(folder, name);
    if (kind === 'segment') segments.set(bare as SegmentName, [...(segments.get(bare as SegmentName) ?? []), path]);
    else if (kind === 'history') histories.set(timelineOf(bare), path);
    else if (kind === 'backupLabel') labels.set(bare, path);
    else others.push(name);
  }
  return { segments, histories, labels, others };
}

const withoutSuffixes = (name: string): string => name.replace(/(\.(gz|enc))+$/, '');

async function foldersOf(dir: string): Promise<string[]> {
  if (baseName.test(basename(dir))) return [dir];
  const places = [join(dir, 'base'), dir];
  for (const place of places) {
    const names = (await entriesOf(place)).filter((entry) => entry.isDirectory() && baseName.test(entry.name));
    if (names.length > 0) return names.map((entry) => join(place, entry.name));
  }
  return [];
}

async function readBase(folder: string): Promise<OldBase> {
  const archives = new Map<string, string>();
  let manifest: string | null = null;
  let info: string | null = null;
  let storedBytes = 0;
  for (const entry of (await entriesOf(folder)).filter((one) => one.isFile())) {
    const path = join(folder, entry.name);
    const bare = withoutSuffixes(entry.name);
    storedBytes += (await stat(path)).size;
    const archive = archiveName.exec(bare)?.[1];
    if (archive !== undefined) archives.set(archive, path);
    else if (bare === 'backup_manifest') manifest = path;
    else if (/^backup_info(\.\w+)?$/.test(bare)) info = path;
  }
  return { name: basename(folder), folder, archives, manifest, info, storedBytes };
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
