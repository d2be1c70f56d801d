import { expect, test } from 'vitest';
import { choosePiece, pieceBytes } from '../../dump/directory/choose.ts';
import type { GrowingFile } from '../../dump/directory/growing.ts';

const file = (name: string, bytes: number, isWhole: boolean, shippedBytes = 0): GrowingFile => ({
  name,
  path: `/d/${name}`,
  bytes,
  shippedBytes,
  pieces: 0,
  isWhole,
});
const chosen = (files: GrowingFile[], isFull = false) => {
  const piece = choosePiece(new Map(files.map((one) => [one.name, one])), isFull);
  return piece === undefined ? null : [piece.file.name, piece.bytes, piece.isLast];
};
const shippedToc = file('toc.dat', 10, true, 10);

test('toc.dat comes first, whole, whatever its size', () => {
  expect(chosen([file('1.dat', 5, true), file('toc.dat', 10, false)])).toBeNull();
  expect(chosen([file('1.dat', 5, true)])).toBeNull();
  expect(chosen([file('1.dat', 5, true), file('toc.dat', 3 * pieceBytes, true)])).toEqual([
    'toc.dat',
    3 * pieceBytes,
    true,
  ]);
});

test('a file that is whole goes in one member where it is small, and in pieces where not', () => {
  expect(chosen([shippedToc, file('1.dat', 5, true)])).toEqual(['1.dat', 5, true]);
  expect(chosen([shippedToc, file('1.dat', 0, true)])).toEqual(['1.dat', 0, true]);
  expect(chosen([shippedToc, file('1.dat', pieceBytes + 1, true)])).toEqual(['1.dat', pieceBytes, false]);
  expect(chosen([shippedToc, file('1.dat', pieceBytes + 1, true, pieceBytes)])).toEqual(['1.dat', 1, true]);
});

test('of a file that grows a piece goes once it is worth it, or once something has to go; never as its last', () => {
  expect(chosen([shippedToc, file('1.dat', 1000, false)])).toBeNull();
  expect(chosen([shippedToc, file('1.dat', 1000, false), file('2.dat', 2000, false)], true)).toEqual([
    '2.dat',
    2000,
    false,
  ]);
  expect(chosen([shippedToc, file('1.dat', pieceBytes, false)])).toEqual(['1.dat', pieceBytes, false]);
  expect(chosen([shippedToc, file('1.dat', 1000, false, 1000)], true)).toBeNull();
});
