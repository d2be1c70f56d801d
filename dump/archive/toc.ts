import type { Reading } from './reading.ts';
import { unverified } from './unverified.ts';

/** What an archive of pg_dump says is in it. Only what has data is kept of its entries. */
export type Toc = {
  form: TocForm;
  total: number;
  tables: number;
  tableData: number;
  data: TocData[];
};

/** Large objects are one entry of many files, which a list of their own names. */
export type TocData = { dumpId: number; isObjects: boolean };

/** How its numbers and entries are written. */
export type TocForm = { kind: TocKind; minor: number; intBytes: number; offsetBytes: number };

/** What follows each entry: an offset in custom, a file's name in directory and tar. */
export type TocKind = 'offset' | 'file';

/** Versions of archives whose form is known here: those of pg_dump 12 to 18. */
const known = { oldest: 14, newest: 16 } as const;

/**
 * Reads the head of an archive: of a custom one, or of a `toc.dat`.
 * @throws {PgproofError} `dump-unverified` when it is no archive, or of a version that is not known.
 * Source: PostgreSQL src/bin/pg_dump/pg_backup_archiver.c, ReadHead and ReadToc.
 */
export function* readToc(kind: TocKind): Reading<Toc> {
  const head = yield 11;
  if (head.toString('latin1', 0, 5) !== 'PGDMP') throw unverified('it does not begin with PGDMP');
  const [major, minor, , intBytes, offsetBytes] = head.subarray(5) as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (major !== 1 || minor < known.oldest || minor > known.newest)
    throw unverified(`its version is ${major}.${minor}; known are 1.${known.oldest} to 1.${known.newest}`);
  if (intBytes < 4 || intBytes > 8) throw unverified(`its numbers have ${intBytes} bytes`);
  const int = () => readInt(intBytes);
  if (minor >= 15) yield 1;
  else yield* int();
  for (let field = 0; field < 7; field += 1) yield* int(); // when it was made
  for (let text = 0; text < 3; text += 1) yield* skipText(intBytes); // database, versions of server and pg_dump
  return yield* readEntries({ kind, minor, intBytes, offsetBytes });
}

/**
 * The table of contents alone.
 * @throws {PgproofError} `dump-unverified`
 */
export function* readEntries(form: TocForm): Reading<Toc> {
  const { kind, minor, intBytes, offsetBytes } = form;
  const int = () => readInt(intBytes);
  const toc: Toc = { form, total: yield* int(), tables: 0, tableData: 0, data: [] };
  for (let entry = 0; entry < toc.total; entry += 1) {
    const dumpId = yield* int();
    const hasData = (yield* int()) !== 0;
    for (let text = 0; text < 3; text += 1) yield* skipText(intBytes); // table's and own oid, tag
    const description = yield* readText(intBytes);
    yield* int(); // section
    // Definition, drop, copy, schema, tablespace, access method
    for (let text = 0; text < 6; text += 1) yield* skipText(intBytes);
    if (minor >= 16) yield* int(); // kind of relation
    for (let text = 0; text < 2; text += 1) yield* skipText(intBytes); // owner, oids
    while ((yield* skipText(intBytes)) !== null); // dependencies end with none
    if (kind === 'offset') yield 1 + offsetBytes;
    else yield* skipText(intBytes); // the file's name, which follows from the id
    if (description === 'TABLE') toc.tables += 1;
    if (description === 'TABLE DATA') toc.tableData += 1;
    if (hasData) toc.data.push({ dumpId, isObjects: description === 'BLOBS' });
  }
  return toc;
}

/** A byte for the sign, then the number, lowest byte first. */
function* readInt(bytes: number): Reading<number> {
  const raw = yield 1 + bytes;
  const value = raw.readUIntLE(1, Math.min(bytes, 6));
  return raw[0] === 0 ? value : -value;
}

/** @returns its length; null where there is none, which is another thing than an empty one. */
function* skipText(intBytes: number): Reading<number | null> {
  const length = yield* readInt(intBytes);
  if (length < 0) return null;
  yield -length;
  return length;
}

/** pg_dump's own words for a kind of entry have some twenty bytes. */
const longestText = 1024;

function* readText(intBytes: number): Reading<string | null> {
  const length = yield* readInt(intBytes);
  if (length > longestText) throw unverified(`an entry's kind has ${length} bytes`);
  return length < 0 ? null : (yield length).toString('utf8');
}
