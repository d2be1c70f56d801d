import { createHash } from 'node:crypto';
import { crc32c } from '@node-rs/crc32';

/** What PostgreSQL's manifest can hold for a file. `NONE` verifies nothing, so we never ask for it and never accept it. */
export const checksumAlgorithms = ['CRC32C', 'SHA224', 'SHA256', 'SHA384', 'SHA512'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** The checksum of one file, as its bytes pass. */
export type FileChecksum = {
  update(bytes: Buffer): void;
  /** Lower-case hex, as the manifest writes it. */
  digest(): string;
};

export function fileChecksum(algorithm: ChecksumAlgorithm): FileChecksum {
  if (algorithm !== 'CRC32C') {
    const hash = createHash(algorithm.toLowerCase());
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
  }
  let crc = 0;
  return {
    update: (bytes) => {
      crc = crc32c(bytes, crc);
    },
    digest: () => crcText(crc),
  };
}

/** PostgreSQL writes the four bytes as they lie in memory: the lowest first (src/common/checksum_helper.c). */
function crcText(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc >>> 0);
  return bytes.toString('hex');
}
