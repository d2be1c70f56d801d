/* What bytes are, by their first ones: no suffix is believed. */

/**
 * `custom` and `tar`: pg_dump's; `text`: SQL, or another text; `files`: a tar of something else, such as a base backup's; `wal`: a
 * segment; `other`: nothing that is known here.
 */
export type Content = 'custom' | 'tar' | 'text' | 'files' | 'wal' | 'other';

const blockBytes = 512;

/** @param head the first bytes, some kilobytes or all there are. */
export function contentOf(head: Buffer): Content {
  if (head.subarray(0, 5).toString('latin1') === 'PGDMP') return 'custom';
  if (isTar(head)) return head.subarray(0, 100).toString('latin1').startsWith('toc.dat\0') ? 'tar' : 'files';
  if (isWal(head)) return 'wal';
  return head.length > 0 && isText(head) ? 'text' : 'other';
}

export const isGzip = (head: Buffer): boolean =>
  head.length >= 10 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8 && ((head[3] as number) & 0xe0) === 0;

export const isSalted = (head: Buffer): boolean => head.subarray(0, 8).toString('latin1') === 'Salted__';

function isTar(head: Buffer): boolean {
  return head.length >= blockBytes && head.toString('latin1', 257, 262) === 'ustar';
}

/** The long header of a segment's first page: its flag, and an address at the beginning of a segment. Source: xlog_internal.h. */
function isWal(head: Buffer): boolean {
  if (head.length < 40 || ![0xd0, 0xd1].includes(head[1] as number)) return false;
  const flags = head.readUInt16LE(2);
  return (flags & 2) === 2 && flags < 16 && head.readUInt32LE(8) % (1 << 20) === 0;
}

/** It begins in ASCII, as all that PostgreSQL writes does, and has no byte that no text has; wrongly decrypted bytes do not pass. */
function isText(head: Buffer): boolean {
  const isPlain = (byte: number) => byte >= 0x20 || (byte >= 9 && byte <= 13) || byte === 0x1b;
  return head.every(isPlain) && head.subarray(0, 16).every((byte) => byte < 0x7f);
}
