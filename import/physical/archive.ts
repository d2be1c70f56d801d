import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { asPgproofError, PgproofError } from '../../core/errors.ts';
import type { Lsn } from '../../core/lsn.ts';
import type { Run } from '../../core/run.ts';
import {
  type SegmentName,
  segmentNameAt,
  segmentNumber,
  segmentNumberAt,
  type TimelineId,
} from '../../core/segment.ts';
import { majorOfWal } from '../../postgres/wal-major.ts';
import { readWalHeader, type WalHeader } from '../../postgres/walpage.ts';
import type { Opening } from '../peel.ts';
import type { Begin } from './begin.ts';
import type { OldBase, OldWal } from './layout.ts';
import { readPlain, unpackOwnWal } from './segments.ts';

/** A segment that was read whole once: what it says of itself fits its name. */
export type SeenSegment = {
  name: SegmentName;
  path: string;
  bytes: number;
  /** 32 hex digits of the SHA-256 of its plain bytes: read again, it must be the same. */
  tag: string;
  /** It came with the base backup: archive_command's copy is not there. */
  own: boolean;
};

/** All WAL from a base backup on, and what it says of the server. */
export type OldArchive = {
  systemId: string;
  major: number;
  segmentBytes: number;
  segments: ReadonlyMap<SegmentName, SeenSegment>;
  histories: ReadonlyMap<TimelineId, { path: string; tag: string; bytes: number }>;
  /** Files that cannot be used, and why; recovery goes no further than to the first of them. */
  damaged: readonly { path: string; error: PgproofError }[];
};

/**
 * Reads every segment from the base backup's start on, once and whole. What is damaged is told, and counts as missing.
 * @param scratch a private folder for the segments that came with the base; made, and left to the caller to remove.
 * @throws {PgproofError} `wal-unreadable` when the segment that the base begins in is not there: without it nothing can be restored.
 */
export async function readArchive(
  base: OldBase,
  begin: Begin,
  wal: OldWal,
  scratch: string,
  opening: Opening,
  run: Run,
): Promise<OldArchive> {
  const own = await unpackOwnWal(base, wal, join(scratch, 'pg_wal'), opening, run.signal);
  const places = new Map<SegmentName, { path: string; own: boolean }>();
  for (const [name, path] of own.paths) places.set(name, { path, own: true });
  for (const [name, [path]] of wal.segments) places.set(name, { path: path as string, own: false });

  const first = await firstHeader(begin, places, opening, run.signal);
  const { segmentBytes, systemId } = first.header;
  const from = segmentNumberAt(begin.startLsn, segmentBytes);
  const wanted = [...places].filter(([name]) => segmentNumber(name, segmentBytes) >= from).sort(byName);
  const segments = new Map<SegmentName, SeenSegment>();
  const damaged: { path: string; error: PgproofError }[] = [];
  for (const [name, { path, own: isOwn }] of wanted) {
    run.progress({
      phase: 'read WAL',
      doneBytes: segments.size * segmentBytes,
      totalBytes: wanted.length * segmentBytes,
    });
    try {
      const bytes = await readPlain(path, opening, run.signal);
      refuseOther(name, path, bytes, first.header);
      segments.set(name, { name, path, bytes: bytes.length, tag: tagOfPlain(bytes), own: isOwn });
    } catch (error) {
      damaged.push({ path, error: unlessEnded(error, run.signal) });
    }
  }
  const histories = await readHistories(wal, opening, run.signal, damaged);
  return { systemId, major: first.major, segmentBytes, segments, histories, damaged };
}

/** As `tagOf` without a key. */
const tagOfPlain = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32);

/** The size of segments is not known before one was read: the beginning of each possible one is looked at. */
async function firstHeader(
  { startLsn, timeline }: Begin,
  places: ReadonlyMap<SegmentName, { path: string }>,
  opening: Opening,
  signal: AbortSignal,
): Promise<{ header: WalHeader; major: number }> {
  for (let segmentBytes = 1 << 20; segmentBytes <= 1 << 30; segmentBytes *= 2) {
    const place = places.get(segmentNameAt(startLsn, timeline, segmentBytes));
    if (place === undefined) continue;
    const bytes = await readPlain(place.path, opening, signal);
    const header = readWalHeader(bytes);
    if (header.segmentBytes === segmentBytes) return { header, major: majorOfWal(bytes) };
  }
  throw missingFirst(startLsn, timeline);
}

/** @throws {PgproofError} `wal-foreign`, `wal-unreadable` */
export function refuseOther(
  name: SegmentName,
  path: string,
  bytes: Buffer,
  known: Pick<WalHeader, 'systemId' | 'segmentBytes'>,
): void {
  const header = readWalHeader(bytes);
  const why =
    header.systemId !== known.systemId
      ? `it is of system ${header.systemId}, the base backup of ${known.systemId}`
      : bytes.length !== known.segmentBytes || header.segmentBytes !== known.segmentBytes
        ? `it has ${bytes.length} bytes, a segment ${known.segmentBytes}`
        : segmentNameAt(header.pageAddress, 1, known.segmentBytes).slice(8) !== name.slice(8)
          ? `it begins at ${header.pageAddress}, which is not what its name says`
          : null;
  if (why !== null)
    throw new PgproofError('wal-foreign', `'${path}' is not the segment ${name}: ${why}`, { facts: { path } });
}

async function readHistories(
  { histories }: OldWal,
  opening: Opening,
  signal: AbortSignal,
  damaged: { path: string; error: PgproofError }[],
): Promise<OldArchive['histories']> {
  const read = new Map<TimelineId, { path: string; tag: string; bytes: number }>();
  for (const [timeline, path] of histories) {
    try {
      const bytes = await readPlain(path, opening, signal);
      read.set(timeline, { path, tag: tagOfPlain(bytes), bytes: bytes.length });
    } catch (error) {
      damaged.push({ path, error: unlessEnded(error, signal) });
    }
  }
  return read;
}

/** A wrong passphrase and an interruption are no damage of one file. */
function unlessEnded(thrown: unknown, signal: AbortSignal): PgproofError {
  const error = asPgproofError(thrown);
  if (signal.aborted || error.code === 'internal' || error.code === 'passphrase-missing') throw thrown;
  return error;
}

function missingFirst(startLsn: Lsn, timeline: TimelineId): PgproofError {
  return new PgproofError(
    'wal-unreadable',
    `the WAL at ${startLsn} of timeline ${timeline}, where the base backup begins, is neither in its pg_wal.tar nor in wal/`,
    { facts: { startLsn, timeline }, hint: 'Without it the base backup cannot become consistent.' },
  );
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
