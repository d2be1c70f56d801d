import { dirname, join } from 'node:path';
import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import type { FileSource } from './file-source.ts';
import { globalsNameOf, type NameFacts, readName } from './names.ts';
import { type OldReport, readOldReport } from './old-report.ts';
import { openSource, type SourceOptions } from './source.ts';
import { promised } from './suffixes.ts';
import { type Seen, type Strange, walk } from './walk.ts';

/** A dump that an old script left, and what lies beside it. */
export type OldDump = {
  path: string;
  /** Its path within the folder that was asked for. */
  place: string;
  name: string;
  storedBytes: number;
  modifiedAt: Date;
  named: NameFacts;
  /** Null where it could not be opened: `error` says why. */
  source: FileSource | null;
  error: PgproofError | null;
  /** Path of `<file>.sha256`. */
  checksumFile: string | null;
  /** Path of `<name>_globals.sql`, made with it. */
  globals: string | null;
  report: OldReport | null;
};

export type Inventory = {
  /** The folder, without symlinks in it. */
  dir: string;
  /** By place. */
  dumps: OldDump[];
  strange: Strange[];
  /** Runs that failed, as their report says. */
  failed: FailedRun[];
};

export type FailedRun = { place: string; report: OldReport };

/**
 * What old scripts left in a folder, told by names and some kilobytes of each file. Nothing is changed.
 * @throws {PgproofError} `file-refused` for the folder itself.
 */
export async function takeInventory(dir: string, options: SourceOptions, signal: AbortSignal): Promise<Inventory> {
  const { root, files, strange } = await walk(dir, signal);
  const { reports, failed, others } = await readReports(files);
  const looked = await lookAt(files, reports, options);
  return {
    dir: root,
    dumps: looked.dumps,
    strange: [...strange, ...others, ...looked.strange, ...notDumps(files)].sort(byPlace),
    failed,
  };
}

const byPlace = (a: { place: string }, b: { place: string }): number => (a.place < b.place ? -1 : 1);

type Reports = { reports: ReadonlyMap<string, OldReport>; failed: FailedRun[]; others: Strange[] };

async function readReports(files: readonly Seen[]): Promise<Reports> {
  const reports = new Map<string, OldReport>();
  const failed: FailedRun[] = [];
  const others: Strange[] = [];
  for (const { path, place, stat } of files.filter(isReport)) {
    const report = await readOldReport(path, stat.size);
    if (report === null) others.push({ place, why: 'no report of a dump' });
    else if (!report.succeeded) failed.push({ place, report });
    else if (report.file !== null) reports.set(report.file, report);
  }
  return { reports, failed, others };
}

async function lookAt(
  files: readonly Seen[],
  reports: Reports['reports'],
  options: SourceOptions,
): Promise<{ dumps: OldDump[]; strange: Strange[] }> {
  const dumps: OldDump[] = [];
  const strange: Strange[] = [];
  const paths = new Set(files.map(({ path }) => path));
  const beside = (path: string): string | null => (paths.has(path) ? path : null);
  const candidates = files.filter(isCandidate);
  const globalsOf = ({ path, name }: Seen) => beside(join(dirname(path), globalsNameOf(name)));
  const joined = new Set(candidates.map((file) => (file.name.endsWith('_globals.sql') ? null : globalsOf(file))));
  for (const file of candidates.filter(({ path }) => !joined.has(path))) {
    const opened = await open(file.path, options);
    if (hasCode(opened, 'file-unknown') && !isCalledDump(file))
      strange.push({ place: file.place, why: noDump(opened) });
    else
      dumps.push({
        ...dumpOf(file, opened),
        checksumFile: beside(`${file.path}.sha256`),
        globals: globalsOf(file),
        report: reports.get(file.name) ?? null,
      });
  }
  return { dumps, strange };
}

/** As a script called its dumps: one that is none is damage, and not something else that lies there. */
const isCalledDump = ({ name }: Seen): boolean => readName(name).time !== null;

const noDump = ({ facts }: PgproofError): string => `no dump: ${facts.form}`;

async function open(path: string, options: SourceOptions): Promise<FileSource | PgproofError> {
  try {
    return await openSource(path, options);
  } catch (error) {
    const known = asPgproofError(error);
    if (hasCode(known, 'internal', 'cancelled')) throw known;
    return known;
  }
}

function dumpOf({ path, place, name, stat }: Seen, opened: FileSource | PgproofError) {
  const isOpen = 'open' in opened;
  return {
    path,
    place,
    name,
    storedBytes: isOpen ? opened.storedBytes : stat.size,
    modifiedAt: isOpen ? opened.modifiedAt : stat.mtime,
    named: readName(name),
    source: isOpen ? opened : null,
    error: isOpen ? null : opened,
  };
}

/** By their names, which are neither a dump's nor what belongs to one. */
function notDumps(files: readonly Seen[]): Strange[] {
  const paths = new Set(files.map(({ path }) => path));
  const isOrphan = ({ path }: Seen) => !paths.has(path.slice(0, -checksumSuffix.length));
  return files.flatMap((file) => {
    if (isCandidate(file) || isReport(file) || isLog(file)) return [];
    if (!file.name.endsWith(checksumSuffix)) return [{ place: file.place, why: 'not the name of a dump' }];
    return isOrphan(file) ? [{ place: file.place, why: 'the checksum of a file that is not there' }] : [];
  });
}

const checksumSuffix = '.sha256';

const isReport = ({ name, isFolder }: Seen): boolean => !isFolder && name.endsWith('.json');

const isLog = ({ place, name }: Seen): boolean => name.endsWith('.log') || dirname(place).split('/').includes('logs');

function isCandidate({ name, isFolder }: Seen): boolean {
  const { layers, contents } = promised(name);
  return isFolder || layers.length > 0 || contents.length > 0;
}
