import { PgproofError } from '../core/errors.ts';
import { formatLsn, type Lsn } from '../core/lsn.ts';
import type { TimelineId } from '../core/segment.ts';

/** What the first page of a WAL segment says of the segment. */
export type WalHeader = {
  timeline: TimelineId;
  systemId: string;
  segmentBytes: number;
  blockBytes: number;
  /** LSN of the segment's first byte, as the segment itself claims. A recycled segment claims another than its name. */
  pageAddress: Lsn;
};

/** How many bytes of a segment `readWalHeader` needs. */
export const walHeaderBytes = 40;

const longHeaderFlag = 0x0002;

/**
 * Reads the long page header that begins each segment. Layout, little-endian: magic u16, info u16, timeline u32, page
 * address u64, rem_len u32, padding, system identifier u64, segment size u32, block size u32.
 * @throws {PgproofError} `wal-unreadable` when these are not the first bytes of a segment.
 * Source: PostgreSQL src/include/access/xlog_internal.h, XLogLongPageHeaderData; the same in 13 to 18.
 */
export function readWalHeader(firstBytes: Uint8Array): WalHeader {
  if (firstBytes.length < walHeaderBytes) throw unreadable(`it has ${firstBytes.length} bytes`);
  const view = new DataView(firstBytes.buffer, firstBytes.byteOffset, firstBytes.byteLength);
  const magic = view.getUint16(0, true);
  const info = view.getUint16(2, true);
  const segmentBytes = view.getUint32(32, true);
  const blockBytes = view.getUint32(36, true);
  // 0xD… since PostgreSQL 9; the exact number differs by major, which the era's record knows and this page cannot prove.
  if (magic >> 12 !== 0xd) throw unreadable('its magic number is not that of WAL');
  if ((info & longHeaderFlag) === 0) throw unreadable('its first page has no long header');
  if (!isPowerOfTwo(segmentBytes, 1 << 20, 1 << 30)) throw unreadable(`it claims a segment size of ${segmentBytes}`);
  if (!isPowerOfTwo(blockBytes, 1 << 10, 1 << 16)) throw unreadable(`it claims a block size of ${blockBytes}`);
  return {
    timeline: view.getUint32(4, true),
    systemId: view.getBigUint64(24, true).toString(),
    segmentBytes,
    blockBytes,
    pageAddress: formatLsn(view.getBigUint64(8, true)),
  };
}

function isPowerOfTwo(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && (value & (value - 1)) === 0;
}

function unreadable(why: string): PgproofError {
  return new PgproofError('wal-unreadable', `this is not the beginning of a WAL segment: ${why}`);
}
