import { PgproofError } from '../core/errors.ts';
import type { ChecksumAlgorithm } from './checksum.ts';
import { type Manifest, type ManifestFile, readManifest } from './manifest.ts';
import type { Passed } from './tap.ts';

export type Verified = { manifest: Manifest; files: number; bytes: number };

/** So many wrong files are named; the rest is counted. */
const maxNamed = 10;

/**
 * Holds what passed against PostgreSQL's manifest: every file of the manifest must have passed with its size and checksum,
 * and nothing else. Empties `passed`.
 * @param passed of all archives of the backup.
 * @throws {PgproofError} `backup-unverified` names the files; `manifest-invalid`.
 */
export function verifyPassed(manifestBytes: Buffer, passed: Passed, algorithm: ChecksumAlgorithm): Verified {
  const wrong: string[] = [];
  let files = 0;
  let bytes = 0;
  const manifest = readManifest(manifestBytes, (file) => {
    const difference = differenceOf(file, passed, algorithm);
    if (difference !== null) wrong.push(`'${file.path}' ${difference}`);
    passed.delete(file.path);
    files += 1;
    bytes += file.bytes;
  });
  for (const path of passed.keys()) wrong.push(`'${path}' is not in the manifest`);
  if (wrong.length > 0) throw unverified(wrong, files);
  return { manifest, files, bytes };
}

function differenceOf(file: ManifestFile, passed: Passed, algorithm: ChecksumAlgorithm): string | null {
  const seen = passed.get(file.path);
  if (seen === undefined) return 'did not come';
  if (seen.bytes !== file.bytes) return `came with ${seen.bytes} bytes instead of ${file.bytes}`;
  if (file.algorithm !== algorithm) return `has a ${file.algorithm} checksum in the manifest instead of ${algorithm}`;
  return seen.checksum === file.checksum ? null : 'came with other content';
}

function unverified(wrong: string[], files: number): PgproofError {
  const more = wrong.length > maxNamed ? `, and ${wrong.length - maxNamed} more` : '';
  return new PgproofError(
    'backup-unverified',
    `what pg_basebackup sent is not what PostgreSQL's manifest lists: ${wrong.slice(0, maxNamed).join(', ')}${more}`,
    {
      facts: { wrongFiles: wrong.length, files, named: wrong.slice(0, maxNamed) },
      hint: 'Nothing was committed. Take the backup again; if it repeats, suspect memory or disk of this host.',
    },
  );
}
