import { createHash } from 'node:crypto';
import type { WalRange } from '../../backup/manifest.ts';
import type { Passed } from '../../backup/tap.ts';
import type { EraRecord } from '../../repository/record.ts';

/** Since 17 a manifest names the system, which PostgreSQL's own programs want of a backup that has increments. */
const namesSystemFrom = 17;

/**
 * A `backup_manifest` as PostgreSQL writes it, of what the archives of a base backup hold: from now on it tells when a file changes.
 * Whether they were right before, it does not know.
 * @param passed with CRC32C.
 * Source: PostgreSQL src/backend/backup/backup_manifest.c.
 */
export function makeManifest(passed: Passed, range: WalRange, { major, systemId }: EraRecord): Buffer {
  const files = [...passed]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([path, { bytes, checksum }]) =>
        `{ ${pathOf(path)}, "Size": ${bytes}, "Checksum-Algorithm": "CRC32C", "Checksum": "${checksum}" }`,
    );
  const head =
    major < namesSystemFrom
      ? '{ "PostgreSQL-Backup-Manifest-Version": 1,\n'
      : `{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": ${systemId},\n`;
  const { timeline, startLsn, endLsn } = range;
  const body = Buffer.from(
    `${head}"Files": [\n${files.join(',\n')}\n],\n"WAL-Ranges": [\n{ "Timeline": ${timeline}, "Start-LSN": "${startLsn}", "End-LSN": "${endLsn}" }\n],\n`,
  );
  const checksum = createHash('sha256').update(body).digest('hex');
  return Buffer.concat([body, Buffer.from(`"Manifest-Checksum": "${checksum}"}\n`)]);
}

/** A name that is no UTF-8, in hex, as PostgreSQL does it. */
function pathOf(path: string): string {
  const bytes = Buffer.from(path, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes)
    ? `"Path": ${JSON.stringify(text)}`
    : `"Encoded-Path": "${bytes.toString('hex')}"`;
}
