import type { GrowingFile } from './growing.ts';

/** The next bytes that are shipped. `isLast`: the file ends with them. */
export type Piece = { file: GrowingFile; bytes: number; isLast: boolean };

/** As much of a file as becomes one member, and the least that is taken of one that still grows. */
export const pieceBytes = 64 << 20;
const leastBytes = 32 << 20;

/**
 * What is shipped next; undefined when it is better to wait.
 * @param isFull pg_dump was stopped, because too much lies here: something has to go.
 */
export function choosePiece(files: ReadonlyMap<string, GrowingFile>, isFull: boolean): Piece | undefined {
  const toc = files.get('toc.dat');
  if (toc === undefined) return undefined;
  // It tells what the other files are, so it comes first, and in one.
  if (toc.shippedBytes === 0) return toc.isWhole ? { file: toc, bytes: toc.bytes, isLast: true } : undefined;
  let largest: GrowingFile | undefined;
  for (const file of files.values()) {
    if (file === toc) continue;
    const left = unshipped(file);
    if (file.isWhole) return { file, bytes: Math.min(left, pieceBytes), isLast: left <= pieceBytes };
    if (largest === undefined || left > unshipped(largest)) largest = file;
  }
  if (largest === undefined || unshipped(largest) < (isFull ? 1 : leastBytes)) return undefined;
  return { file: largest, bytes: Math.min(unshipped(largest), pieceBytes), isLast: false };
}

const unshipped = ({ bytes, shippedBytes }: GrowingFile): number => bytes - shippedBytes;
