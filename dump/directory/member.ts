import { blockBytes } from '../../postgres/tar/header.ts';

/*
 * A dump in directory format is stored as one tar stream. A file that was whole when its turn came is a member of its own name; one that
 * was shipped while pg_dump still wrote it is several, `3456.dat.zst.000001` and so on, which joined in order are the file.
 * `toc.dat` is the first member, and whole.
 */

/** @param piece counted from 1; null: the file in one. */
export const memberName = (file: string, piece: number | null): string =>
  piece === null ? file : `${file}.${String(piece).padStart(6, '0')}`;

/** What a member is of; undefined for what pg_dump never wrote. */
export function parseMember(name: string): { file: string; piece: number | null } | undefined {
  const match = /^((?:toc|\d+|blob_\d+|blobs|blobs_\d+)\.(?:dat|toc)(?:\.gz|\.zst|\.lz4)?)(?:\.(\d{6,}))?$/.exec(name);
  if (match === null) return undefined;
  return { file: match[1] as string, piece: match[2] === undefined ? null : Number(match[2]) };
}

/** How many zeros follow a member's content. */
export const paddingOf = (bytes: number): number => (blockBytes - (bytes % blockBytes)) % blockBytes;

/** Two blocks of zeros end the stream. */
export const endBytes = 2 * blockBytes;

/**
 * A ustar header of a file.
 * @param bytes less than 8 GiB, which is what its number has room for.
 * @param modifiedAt seconds since 1970
 */
export function writeHeader(block: Buffer, name: string, bytes: number, modifiedAt: number): void {
  block.fill(0, 0, blockBytes);
  block.write(name, 0, 100, 'latin1');
  const octal = (value: number, at: number, digits: number) =>
    block.write(value.toString(8).padStart(digits, '0'), at, digits, 'latin1');
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(bytes, 124, 11);
  octal(modifiedAt, 136, 11);
  block.write('        ', 148, 8, 'latin1'); // the checksum counts its own field as spaces
  block.write('0', 156, 1, 'latin1');
  block.write('ustar\x0000', 257, 8, 'latin1');
  let sum = 0;
  for (let at = 0; at < blockBytes; at += 1) sum += block[at] as number;
  octal(sum, 148, 6);
  block[154] = 0;
}
