import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, PgproofError } from '../core/errors.ts';
import { compareLsn, formatLsn, type Lsn, lsnPosition } from '../core/lsn.ts';
import { type SegmentName, segmentName, segmentNumber, timelineOf } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Tools } from '../postgres/tools.ts';
import type { Nearest } from '../repository/nearest.ts';
import type { ArchivedSegment } from './inventory.ts';
import { readNearestSegment } from './nearest-segment.ts';
import { type DumpedRecord, dumpRecords, understand, type WalRecord } from './records.ts';

export type ArchivedWal = {
  cluster: ProtectedCluster;
  /** What is missing or damaged in one repository is read from the next. */
  copies: Nearest;
  tools: Tools;
  era: string;
  segmentBytes: number;
  /** Ascending and without gaps, as `coverageOf` answers them. */
  segments: readonly ArchivedSegment[];
  /**
   * Nothing at or behind it is looked at. Needed where the last segment is an older timeline's: behind the switch it holds what
   * an old primary went on writing, which is not this history. @defaultValue the end of the last segment
   */
  endLsn?: Lsn;
};

export type ScanOptions = {
  signal: AbortSignal;
  /** Taken from the repository at once; so much disk a scan needs, and the overlap. @defaultValue 256 MiB */
  windowBytes?: number;
  /**
   * A record that begins in a window is read to its end behind it, at most so far: a commit that created very many tables is
   * that long. @defaultValue 64 MiB
   */
  overlapBytes?: number;
};

const mib = 1024 * 1024;

/**
 * What matters to a plan in the archived WAL that begins at `start`, in the order of replay, up to the end of the segments.
 * The caller stops when it has seen enough. Disk is bounded, however much WAL there is.
 * @throws {PgproofError} `wal-unreadable` when the WAL breaks before its end; `object-damaged`, `object-missing` and the
 * store's errors for a segment that cannot be read.
 */
export async function* scanWal(
  wal: ArchivedWal,
  start: Lsn,
  { signal, windowBytes = 256 * mib, overlapBytes = 64 * mib }: ScanOptions,
): AsyncGenerator<WalRecord> {
  const dir = await scanFolder(wal);
  const perWindow = Math.max(1, Math.floor(windowBytes / wal.segmentBytes));
  const overlap = Math.max(1, Math.ceil(overlapBytes / wal.segmentBytes));
  const held = new Set<number>();
  try {
    for (let first = 0; first < wal.segments.length; first += perWindow) {
      const last = Math.min(first + perWindow + overlap, wal.segments.length) - 1;
      await drop(dir, wal, held, first);
      await hold(dir, wal, held, first, last, signal);
      const end = endOf(wal, Math.min(first + perWindow, wal.segments.length) - 1);
      const from = first === 0 ? start : startOf(wal, first);
      yield* recordsFrom(wal, dir, { from, until: end, readable: endOf(wal, last) }, signal);
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Where the last whole record of these segments begins: recovery to `latest` stops there (a position that no record begins at
 * or behind would never be reached). A record may begin segments before the one in which it ends, so it is looked for from
 * ever further back.
 * @returns null when not one record begins at or behind `notBefore`.
 */
export async function lastRecordStart(wal: ArchivedWal, notBefore: Lsn, signal: AbortSignal): Promise<Lsn | null> {
  if (wal.segments.length === 0) return null;
  const end = lsnPosition(endOf(wal, wal.segments.length - 1));
  const floor = lsnPosition(notBefore);
  if (end <= floor) return null;
  const dir = await scanFolder(wal);
  const held = new Set<number>();
  try {
    for (let backBytes = BigInt(mib); ; backBytes *= 4n) {
      const from = end - floor > backBytes ? end - backBytes : floor;
      const first = wal.segments.findIndex((_, index) => lsnPosition(startOf(wal, index + 1)) > from);
      if (first === -1) return null;
      await hold(dir, wal, held, first, wal.segments.length - 1, signal);
      const last = await lastOf(
        dumpRecords(wal.tools, [...place(wal, dir), '-s', formatLsn(from), '-e', formatLsn(end)], signal),
      );
      if (last !== null || from === floor) return last;
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * The first whole record that begins at or behind `position`: where recovery to that LSN stops.
 * @returns null when these segments hold none.
 */
export async function firstRecordFrom(wal: ArchivedWal, position: Lsn, signal: AbortSignal): Promise<Lsn | null> {
  const first = wal.segments.findIndex((_, index) => compareLsn(endOf(wal, index), position) > 0);
  if (first === -1) return null;
  const dir = await scanFolder(wal);
  const held = new Set<number>();
  try {
    for (let count = 2; ; count *= 2) {
      const last = Math.min(first + count, wal.segments.length) - 1;
      await hold(dir, wal, held, first, last, signal);
      const args = [...place(wal, dir), '-s', position, '-e', endOf(wal, last), '-n', '1'];
      const found = await lastOf(dumpRecords(wal.tools, args, signal));
      if (found !== null || last === wal.segments.length - 1) return found;
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function* recordsFrom(
  wal: ArchivedWal,
  dir: string,
  range: { from: Lsn; until: Lsn; readable: Lsn },
  signal: AbortSignal,
): AsyncGenerator<WalRecord> {
  // Before 15, pg_waldump takes one resource manager only; then all are printed, and `understand` chooses.
  const filters = wal.tools.major >= 15 ? ['-r', 'Transaction', '-r', 'XLOG', '-r', 'Tablespace'] : [];
  const args = [...place(wal, dir), '-s', range.from, '-e', range.readable, ...filters];
  try {
    for await (const dumped of dumpRecords(wal.tools, args, signal)) {
      if (compareLsn(dumped.lsn, range.until) >= 0) return;
      const record = understand(dumped);
      if (record !== undefined) yield record;
    }
  } catch (cause) {
    if (!hasCode(cause, 'tool-failed')) throw cause;
    if (noneBegins(cause)) return;
    throw new PgproofError(
      'wal-unreadable',
      `the archived WAL from ${range.from} to ${range.readable} cannot be read: ${cause.message}`,
      {
        facts: { start: range.from, end: range.readable, ...cause.facts },
        cause,
      },
    );
  }
}

/** Behind the last whole record pg_waldump finds an error: that is the end that is looked for. */
async function lastOf(records: AsyncIterable<DumpedRecord>): Promise<Lsn | null> {
  let last: Lsn | null = null;
  try {
    for await (const { lsn } of records) last = lsn;
  } catch (error) {
    if (!(hasCode(error, 'tool-failed') && (noneBegins(error) || /error in WAL record at/.test(error.message))))
      throw error;
  }
  return last;
}

/** pg_waldump's own words (LC_ALL=C), there is no code: only the inside of one long record, or zeros. */
function noneBegins(error: PgproofError): boolean {
  return /could not find a valid record after/.test(error.message);
}

function place(wal: ArchivedWal, dir: string): string[] {
  return ['-p', dir, '-t', String(commonTimeline(wal))];
}

/**
 * pg_waldump reads one timeline, by file name, and does not compare the name with what the pages say. So the segments of a
 * path over several timelines lie side by side under the names of the last one.
 */
function commonTimeline(wal: ArchivedWal): number {
  return timelineOf((wal.segments.at(-1) as ArchivedSegment).name);
}

function fileAt(wal: ArchivedWal, dir: string, index: number): string {
  const number = segmentNumber((wal.segments[index] as ArchivedSegment).name, wal.segmentBytes);
  return join(dir, segmentName(commonTimeline(wal), number, wal.segmentBytes));
}

/** Where the segment of this index begins; the index behind the last one is allowed. */
function startOf(wal: ArchivedWal, index: number): Lsn {
  const first = segmentNumber(wal.segments[0]?.name as SegmentName, wal.segmentBytes);
  return formatLsn((first + BigInt(index)) * BigInt(wal.segmentBytes));
}

/** The first position behind the segment of this index that does not count. */
function endOf(wal: ArchivedWal, index: number): Lsn {
  const end = startOf(wal, index + 1);
  return wal.endLsn !== undefined && compareLsn(wal.endLsn, end) < 0 ? wal.endLsn : end;
}

/** Named after its process, so that the next scan removes what a killed one left. */
async function scanFolder({ cluster }: ArchivedWal): Promise<string> {
  await mkdir(cluster.paths.fetch, { recursive: true, mode: 0o700 });
  for (const name of await readdir(cluster.paths.fetch)) {
    const pid = /^scan-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      await rm(join(cluster.paths.fetch, name), { recursive: true, force: true });
  }
  return mkdtemp(join(cluster.paths.fetch, `scan-${process.pid}-`));
}

async function hold(
  dir: string,
  wal: ArchivedWal,
  held: Set<number>,
  first: number,
  last: number,
  signal: AbortSignal,
): Promise<void> {
  for (let index = first; index <= last; index += 1) {
    if (held.has(index)) continue;
    const segment = wal.segments[index] as ArchivedSegment;
    const bytes = await readNearestSegment(wal, segment, signal);
    await writeFile(fileAt(wal, dir, index), bytes, { mode: 0o600 });
    held.add(index);
  }
}

async function drop(dir: string, wal: ArchivedWal, held: Set<number>, before: number): Promise<void> {
  for (const index of held) {
    if (index >= before) continue;
    await rm(fileAt(wal, dir, index), { force: true });
    held.delete(index);
  }
}
