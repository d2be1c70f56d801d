import { PgproofError } from './errors.ts';
import { formatLsn, type Lsn, lsnPosition } from './lsn.ts';

/** A WAL segment's file name: 24 upper-case hex digits, 8 of them the timeline. */
export type SegmentName = string & { readonly brand: 'SegmentName' };

export type TimelineId = number;

const fileNames = {
  segment: /^[0-9A-F]{24}$/,
  partial: /^[0-9A-F]{24}\.partial$/,
  history: /^[0-9A-F]{8}\.history$/,
  backupLabel: /^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/,
};

export type WalFileKind = keyof typeof fileNames;

/** What kind of file PostgreSQL hands to `archive_command` under this name; undefined for anything it never does. */
export function walFileKind(name: string): WalFileKind | undefined {
  return (Object.keys(fileNames) as WalFileKind[]).find((kind) => fileNames[kind].test(name));
}

/** @throws {PgproofError} `segment-invalid` */
export function parseSegmentName(text: string): SegmentName {
  if (fileNames.segment.test(text)) return text as SegmentName;
  throw new PgproofError('segment-invalid', `'${text}' is not the name of a WAL segment`, { facts: { value: text } });
}

export function timelineOf(name: string): TimelineId {
  return Number.parseInt(name.slice(0, 8), 16);
}

export function historyFileName(timeline: TimelineId): string {
  return `${hex8(timeline)}.history`;
}

/** Eight upper-case hex digits, as timelines are written in file names and keys. */
export function hex8(value: number | bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

/**
 * How many segments precede `lsn` on its timeline; a position on a boundary belongs to the segment that begins there.
 * @param segmentBytes from pg_control; a power of two, 1 MiB to 1 GiB. Never assume 16 MiB.
 */
export function segmentNumberAt(lsn: Lsn, segmentBytes: number): bigint {
  return lsnPosition(lsn) / BigInt(segmentBytes);
}

/** Source: PostgreSQL src/include/access/xlog_internal.h, XLogFileName. */
export function segmentName(timeline: TimelineId, number: bigint, segmentBytes: number): SegmentName {
  const perLog = 0x1_0000_0000n / BigInt(segmentBytes);
  return `${hex8(timeline)}${hex8(number / perLog)}${hex8(number % perLog)}` as SegmentName;
}

/** The name of the segment that holds the byte at `lsn`. pg_walfile_name differs between majors on boundaries, so we compute. */
export function segmentNameAt(lsn: Lsn, timeline: TimelineId, segmentBytes: number): SegmentName {
  return segmentName(timeline, segmentNumberAt(lsn, segmentBytes), segmentBytes);
}

export function segmentNumber(name: SegmentName, segmentBytes: number): bigint {
  const perLog = 0x1_0000_0000n / BigInt(segmentBytes);
  return BigInt(`0x${name.slice(8, 16)}`) * perLog + BigInt(`0x${name.slice(16, 24)}`);
}

export function segmentStart(name: SegmentName, segmentBytes: number): Lsn {
  return formatLsn(segmentNumber(name, segmentBytes) * BigInt(segmentBytes));
}

/** The first position behind the segment. */
export function segmentEnd(name: SegmentName, segmentBytes: number): Lsn {
  return formatLsn((segmentNumber(name, segmentBytes) + 1n) * BigInt(segmentBytes));
}

/**
 * The segments that hold the bytes [start, end): a stop LSN on a boundary needs only the segment before it.
 * Both positions on one timeline; empty when end ≤ start.
 */
export function segmentsBetween(start: Lsn, end: Lsn, timeline: TimelineId, segmentBytes: number): SegmentName[] {
  const names: SegmentName[] = [];
  if (lsnPosition(end) <= lsnPosition(start)) return names;
  const behind = (lsnPosition(end) + BigInt(segmentBytes) - 1n) / BigInt(segmentBytes);
  for (let number = segmentNumberAt(start, segmentBytes); number < behind; number += 1n) {
    names.push(segmentName(timeline, number, segmentBytes));
  }
  return names;
}
