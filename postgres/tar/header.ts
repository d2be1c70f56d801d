import { PgproofError } from '../../core/errors.ts';

/** Everything in a tar stream comes in blocks of this many bytes. */
export const blockBytes = 512;

/** `other`: a device, a FIFO or a vendor's own kind; PostgreSQL sends none of them. */
export type TarKind = 'file' | 'folder' | 'symlink' | 'hardlink' | 'other';

export type TarEntry = {
  kind: TarKind;
  /** As it stands in the stream: relative to the folder that was packed; a folder's has no slash at its end. */
  name: string;
  /** The name's own bytes, for a file whose name is not UTF-8. */
  rawName: Buffer;
  /** Length of the content. */
  bytes: number;
  /** Permission bits. */
  mode: number;
  /** Seconds since 1970, whole. */
  modifiedAt: number;
  /** Where a symlink or a hardlink points; empty for other kinds. */
  linkTarget: string;
};

/** A header as it stands in one block, before a long name or a pax header that came ahead of it is applied. */
export type RawHeader = Omit<TarEntry, 'kind'> & { typeFlag: string };

/**
 * Reads one header block: ustar, and GNU's base-256 numbers (a file over 8 GiB).
 * @throws {PgproofError} `tar-invalid` when its checksum or one of its numbers is wrong.
 * Source: POSIX.1-2017 pax, "ustar Interchange Format"; PostgreSQL src/port/tar.c.
 */
export function parseHeader(block: Buffer): RawHeader {
  if (numberAt(block, 148, 8) !== checksumOf(block)) throw invalid('a header has a wrong checksum');
  const rawName = nameOf(block);
  return {
    typeFlag: String.fromCharCode(block[156] as number),
    rawName,
    name: rawName.toString('utf8'),
    bytes: numberAt(block, 124, 12),
    mode: numberAt(block, 100, 8) & 0o7777,
    modifiedAt: numberAt(block, 136, 12),
    linkTarget: textAt(block, 157, 100).toString('utf8'),
  };
}

/** `0` and, from before ustar, NUL are files; `7` is what POSIX tells readers to take for one. */
export function kindOf({ typeFlag, name }: RawHeader): TarKind {
  if (typeFlag === '0' || typeFlag === '\0' || typeFlag === '7') return name.endsWith('/') ? 'folder' : 'file';
  if (typeFlag === '5') return 'folder';
  if (typeFlag === '2') return 'symlink';
  return typeFlag === '1' ? 'hardlink' : 'other';
}

export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

export function invalid(why: string, facts: { name?: string } = {}): PgproofError {
  return new PgproofError('tar-invalid', `not a whole tar stream: ${why}`, { facts });
}

/** The sum of all bytes, the checksum's own field counted as spaces. */
function checksumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i += 1) sum += block[i] as number;
  for (let i = 156; i < blockBytes; i += 1) sum += block[i] as number;
  return sum;
}

/** Only POSIX's magic has a prefix; GNU's (`ustar  `) keeps times in that place. */
function nameOf(block: Buffer): Buffer {
  const name = textAt(block, 0, 100);
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textAt(block, 345, 155) : Buffer.alloc(0);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

/** A copy: the block is read into again. */
function textAt(block: Buffer, offset: number, length: number): Buffer {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end));
}

/** Octal digits; or, with the top bit set, a big-endian binary number. */
function numberAt(block: Buffer, offset: number, length: number): number {
  if (((block[offset] as number) & 0x80) !== 0) return binaryAt(block, offset, length);
  const text = block
    .toString('latin1', offset, offset + length)
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (!/^[0-7]*$/.test(text)) throw invalid('a header has a field that is no number');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function binaryAt(block: Buffer, offset: number, length: number): number {
  let value = BigInt((block[offset] as number) & 0x7f);
  for (let i = offset + 1; i < offset + length; i += 1) value = (value << 8n) | BigInt(block[i] as number);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a header has a number that is out of range');
  return Number(value);
}
