import { PgproofError } from '../core/errors.ts';

/** XLOG_PAGE_MAGIC changes with the format of WAL, which each major has its own of. Source: src/include/access/xlog_internal.h. */
const majors: ReadonlyMap<number, number> = new Map([
  [0xd106, 13],
  [0xd10d, 14],
  [0xd110, 15],
  [0xd113, 16],
  [0xd116, 17],
  [0xd118, 18],
]);

/** The major of the server that wrote a segment. @throws {PgproofError} `server-unsupported` for any other. */
export function majorOfWal(firstBytes: Buffer): number {
  const magic = firstBytes.readUInt16LE(0);
  const major = majors.get(magic);
  if (major !== undefined) return major;
  throw new PgproofError(
    'server-unsupported',
    `the WAL is of no major that pgproof knows (page magic 0x${magic.toString(16)})`,
    { facts: { magic, known: [...majors.values()] } },
  );
}
