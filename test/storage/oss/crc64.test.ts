import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Crc64, crc64, joinedCrc64 } from '../../../storage/oss/crc64.ts';

/** Bit by bit, as the definition has it. */
function slowly(bytes: Uint8Array): string {
  let register = 0xffffffffffffffffn;
  for (const byte of bytes) {
    register ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1)
      register = (register & 1n) === 0n ? register >> 1n : (register >> 1n) ^ 0xc96c5795d7870f42n;
  }
  return (register ^ 0xffffffffffffffffn).toString();
}

test('CRC-64 gives the published check value, and zero for nothing', () => {
  expect(crc64(Buffer.from('123456789'))).toBe(0x995dc9bbdf1939fan.toString());
  expect(crc64(new Uint8Array())).toBe('0');
});

test('CRC-64 is what its definition says, for every length and alignment, in one piece or several', () => {
  const bytes = randomBytes(100);
  for (let from = 0; from < 9; from += 1) {
    for (let to = from; to < 100; to += 1) {
      const some = bytes.subarray(from, to);
      const middle = Math.floor(some.length / 3);
      const expected = slowly(some);
      expect(crc64(some)).toBe(expected);
      expect(new Crc64().update(some.subarray(0, middle)).update(some.subarray(middle)).value).toBe(expected);
    }
  }
});

test('the CRC-64 of joined pieces is known from those of the pieces', () => {
  const bytes = randomBytes(300_000);
  for (const at of [0, 1, 7, 65_536, 299_999, 300_000]) {
    const second = bytes.subarray(at);
    expect(joinedCrc64(crc64(bytes.subarray(0, at)), crc64(second), second.length)).toBe(crc64(bytes));
  }
});
