import { crc32c } from '@node-rs/crc32';
import { PgproofError } from '../core/errors.ts';
import { type Lsn, lsnPosition } from '../core/lsn.ts';
import { type SegmentName, segmentNumber } from '../core/segment.ts';
import { readWalHeader } from '../postgres/walpage.ts';

/** A CREATE TABLESPACE record: where it begins, and the tablespace's OID. */
export type TablespaceRecord = { lsn: Lsn; oid: string };

/**
 * A segment for replay somewhere else: the paths are taken out of the records that create tablespaces, so that PostgreSQL makes those
 * inside the data directory, as with `allow_in_place_tablespaces`. Records keep their length and position.
 * @param bytes of the segment, checked already; not changed.
 * @throws {PgproofError} `wal-unreadable` when one of the records is not where it was found: replay would write to its path.
 * Sources: PostgreSQL src/include/access/xlogrecord.h; commands/tablespace.c, create_tablespace_directories; the same in 15 to 18.
 */
export function inPlace(bytes: Uint8Array, name: SegmentName, records: readonly TablespaceRecord[]): Uint8Array {
  const begins = segmentNumber(name, bytes.length) * BigInt(bytes.length);
  const own = records.filter(({ lsn }) => lsnPosition(lsn) / BigInt(bytes.length) === begins / BigInt(bytes.length));
  if (own.length === 0) return bytes;
  const changed = Uint8Array.from(bytes);
  for (const record of own) withoutPath(changed, Number(lsnPosition(record.lsn) - begins), record);
  return changed;
}

/** Whether the record lies in one segment: the next one is not at hand while this one is changed. @param path of the record */
export function isWithinSegment(lsn: Lsn, path: string, segmentBytes: number): boolean {
  const offset = Number(lsnPosition(lsn) % BigInt(segmentBytes));
  const pageHeaders = 2 * shortHeaderBytes;
  return offset + headerBytes + 5 + 4 + Buffer.byteLength(path) + 1 + pageHeaders <= segmentBytes;
}

const headerBytes = 24;
const shortHeaderBytes = 24;
/** Of the record's header: the last four of its bytes are the checksum, of what follows it and then of what stands before it. */
const checkedHeaderBytes = 20;
/** With the shortest header of main data, an OID and an empty path. */
const leastBytes = headerBytes + 2 + 4 + 1;
const tablespaceManager = 5;

function withoutPath(bytes: Uint8Array, offset: number, { lsn, oid }: TablespaceRecord): void {
  const { blockBytes } = readWalHeader(bytes);
  const at = (count: number) => positions(offset, count, blockBytes, bytes.length);
  const totalBytes = take(bytes, at(headerBytes)).readUInt32LE(0);
  const places = at(totalBytes);
  if (totalBytes < leastBytes || places.length < totalBytes) throw elsewhere(lsn);
  const record = take(bytes, places);
  const isCreate = (record.readUInt8(16) & 0xf0) === 0 && record.readUInt8(17) === tablespaceManager;
  if (!isCreate || record.readUInt32LE(20) !== checksumOf(record)) throw elsewhere(lsn);
  const main = mainData(record);
  if (main === undefined || record.readUInt32LE(main) !== Number(oid)) throw elsewhere(lsn);
  record.fill(0, main + 4);
  record.writeUInt32LE(checksumOf(record), 20);
  for (const [index, place] of places.entries()) bytes[place] = record[index] as number;
}

/** Where the bytes of a record lie that begins at `offset`: page headers are in between. */
function positions(offset: number, count: number, blockBytes: number, segmentBytes: number): number[] {
  const found: number[] = [];
  for (let at = offset; found.length < count && at < segmentBytes; at += 1) {
    if (at % blockBytes === 0) at += shortHeaderBytes;
    found.push(at);
  }
  return found;
}

const take = (bytes: Uint8Array, places: readonly number[]): Buffer =>
  Buffer.from(Uint8Array.from(places, (place) => bytes[place] as number));

const checksumOf = (record: Buffer): number =>
  crc32c(record.subarray(0, checkedHeaderBytes), crc32c(record.subarray(headerBytes)));

/** Behind the header of the main data, which is all that such a record has: its length is one byte, or four. */
function mainData(record: Buffer): number | undefined {
  const kind = record.readUInt8(headerBytes);
  if (kind === 255) return headerBytes + 2;
  return kind === 254 ? headerBytes + 5 : undefined;
}

function elsewhere(lsn: Lsn): PgproofError {
  return new PgproofError('wal-unreadable', `there is no CREATE TABLESPACE at ${lsn}, where the plan found one`, {
    facts: { lsn },
    hint: 'Plan the restore again.',
  });
}
