import { crc32c } from '@node-rs/crc32';
import { expect, test } from 'vitest';
import { formatLsn } from '../../core/lsn.ts';
import { segmentName } from '../../core/segment.ts';
import { inPlace, isWithinSegment } from '../../wal/in-place.ts';

const mib = 1024 * 1024;
const name = segmentName(1, 3n, mib);
const lsnOf = (offset: number) => formatLsn(3n * BigInt(mib) + BigInt(offset));

/** A record as PostgreSQL writes it: header, one piece of main data, checksum. */
function record(manager: number, main: Buffer): Buffer {
  const bytes = Buffer.alloc(26 + main.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt8(manager, 17);
  bytes.writeUInt8(255, 24);
  bytes.writeUInt8(main.length, 25);
  main.copy(bytes, 26);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24))), 20);
  return bytes;
}

const createTablespace = (oid: number, path: string): Buffer => {
  const id = Buffer.alloc(4);
  id.writeUInt32LE(oid);
  return record(5, Buffer.concat([id, Buffer.from(path), Buffer.alloc(1)]));
};

/** A segment in which the record begins at the offset; every page begins with a header of ones. */
function segmentWith(bytes: Buffer, offset: number): Buffer {
  const segment = Buffer.alloc(mib);
  for (let page = 0; page < mib; page += 8192) segment.fill(1, page, page + 24);
  segment.writeUInt16LE(0xd110, 0);
  segment.writeUInt16LE(2, 2);
  segment.writeUInt32LE(mib, 32);
  segment.writeUInt32LE(8192, 36);
  let at = offset;
  for (const byte of bytes) {
    if (at % 8192 === 0) at += 24;
    segment.writeUInt8(byte, at);
    at += 1;
  }
  return segment;
}

test.each([40, 8192 * 3 - 8, 8192 * 3 - 32, 8192 * 3 - 40])(
  'a tablespace that is created at %i of its segment loses its path, and the record stays whole',
  (offset) => {
    const segment = segmentWith(createTablespace(16401, '/srv/fast'), offset);
    const before = Buffer.from(segment);
    const changed = inPlace(segment, name, [{ lsn: lsnOf(offset), oid: '16401' }]);
    expect(segment.equals(before)).toBe(true);
    expect(Buffer.from(changed).equals(segmentWith(createTablespace(16401, '\0'.repeat(9)), offset))).toBe(true);
  },
);

test('a segment in which none is created is replayed as it is', () => {
  const segment = segmentWith(record(1, Buffer.alloc(8)), 40);
  expect(inPlace(segment, name, [{ lsn: formatLsn(9n * BigInt(mib) + 40n), oid: '16401' }])).toBe(segment);
});

test.each([
  ['another record', segmentWith(record(1, Buffer.alloc(14)), 40), '16401'],
  ['another tablespace', segmentWith(createTablespace(16402, '/srv/fast'), 40), '16401'],
  ['DROP TABLESPACE', segmentWith(dropped(), 40), '16401'],
  ['a damaged record', segmentWith(createTablespace(16401, '/srv/fast'), 40).fill(7, 70, 71), '16401'],
  ['nothing', segmentWith(Buffer.alloc(0), 40), '16401'],
])('%s in its place is refused, and never replayed with a path', (_, segment, oid) => {
  expect(() => inPlace(segment, name, [{ lsn: lsnOf(40), oid }])).toThrow(
    expect.objectContaining({ code: 'wal-unreadable' }),
  );
});

function dropped(): Buffer {
  const bytes = createTablespace(16401, '');
  bytes.writeUInt8(0x10, 16);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24))), 20);
  return bytes;
}

test('a record that goes on in the next segment is known beforehand', () => {
  expect(isWithinSegment(lsnOf(40), '/srv/fast', mib)).toBe(true);
  expect(isWithinSegment(lsnOf(mib - 64), '/srv/fast', mib)).toBe(false);
});
