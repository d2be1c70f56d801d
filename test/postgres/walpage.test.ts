import { expect, test } from 'vitest';
import { readWalHeader, walHeaderBytes } from '../../postgres/walpage.ts';

/** The layout by hand, so that the reader is not tested against itself. */
function header(change: (view: DataView) => void = () => {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(walHeaderBytes));
  view.setUint16(0, 0xd118, true);
  view.setUint16(2, 0x0002, true);
  view.setUint32(4, 7, true);
  view.setBigUint64(8, 0x16_b300_0000n, true);
  view.setBigUint64(24, 7_300_000_000_000_000_001n, true);
  view.setUint32(32, 64 << 20, true);
  view.setUint32(36, 8192, true);
  change(view);
  return new Uint8Array(view.buffer);
}

test('the long page header tells timeline, position, system identifier and segment size', () => {
  expect(readWalHeader(header())).toEqual({
    timeline: 7,
    systemId: '7300000000000000001',
    segmentBytes: 64 << 20,
    blockBytes: 8192,
    pageAddress: '16/B3000000',
  });
});

test('a view into a larger buffer is read at its own offset', () => {
  const large = new Uint8Array(100);
  large.set(header(), 33);
  expect(readWalHeader(large.subarray(33)).timeline).toBe(7);
});

test.each<[string, Uint8Array]>([
  ['too few bytes', header().subarray(0, 39)],
  ['zeros', new Uint8Array(40)],
  ['another magic number', header((view) => view.setUint16(0, 0x1234, true))],
  ['a page without the long header', header((view) => view.setUint16(2, 0x0001, true))],
  ['a segment size that is no power of two', header((view) => view.setUint32(32, (16 << 20) + 1, true))],
  ['a segment size of 2 GiB', header((view) => view.setUint32(32, 2 ** 31, true))],
  ['no block size', header((view) => view.setUint32(36, 0, true))],
])('%s is no WAL', (_, bytes) => {
  expect(() => readWalHeader(bytes)).toThrow(expect.objectContaining({ code: 'wal-unreadable' }));
});
