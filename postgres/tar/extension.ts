import { invalid, type RawHeader } from './header.ts';

/** What a member that describes the next one says of it. */
export type Extension = { rawName?: Buffer; linkTarget?: string; bytes?: number };

/** Members that carry no file: GNU's long name and long link, and pax headers for the next member or for all that follow. */
export function isExtension({ typeFlag }: RawHeader): boolean {
  return 'LKxg'.includes(typeFlag);
}

/** @throws {PgproofError} `tar-invalid` when pax records are not of their form. */
export function parseExtension({ typeFlag }: RawHeader, content: Buffer): Extension {
  if (typeFlag === 'L') return { rawName: untilNul(content) };
  if (typeFlag === 'K') return { linkTarget: untilNul(content).toString('utf8') };
  return parsePax(content);
}

/** The header with what extensions said of it. */
export function extend(header: RawHeader, extension: Extension): RawHeader {
  const rawName = extension.rawName ?? header.rawName;
  return {
    ...header,
    rawName,
    name: rawName.toString('utf8'),
    linkTarget: extension.linkTarget ?? header.linkTarget,
    bytes: extension.bytes ?? header.bytes,
  };
}

/** Records `length key=value\n`; the length counts the whole record. Other keys say nothing that we need. */
function parsePax(content: Buffer): Extension {
  const extension: Extension = {};
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.toString('latin1', at, space));
    const equals = content.indexOf(0x3d, space);
    const end = at + length - 1;
    if (space < at || !Number.isInteger(length) || equals < space || equals > end || content[end] !== 0x0a) {
      throw invalid('a pax header is not readable');
    }
    Object.assign(
      extension,
      paxField(content.toString('latin1', space + 1, equals), content.subarray(equals + 1, end)),
    );
    at += length;
  }
  return extension;
}

function paxField(key: string, value: Buffer): Extension {
  if (key === 'path') return { rawName: Buffer.from(value) };
  if (key === 'linkpath') return { linkTarget: value.toString('utf8') };
  if (key !== 'size') return {};
  const bytes = Number(value.toString('latin1'));
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw invalid('a pax header has a wrong size');
  return { bytes };
}

function untilNul(content: Buffer): Buffer {
  const end = content.indexOf(0);
  return Buffer.from(end === -1 ? content : content.subarray(0, end));
}
