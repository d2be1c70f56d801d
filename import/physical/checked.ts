import { type ChecksumAlgorithm, checksumAlgorithms } from '../../backup/checksum.ts';
import { readManifest } from '../../backup/manifest.ts';
import { type Kept, type Passed, Tap } from '../../backup/tap.ts';
import { verifyPassed } from '../../backup/verify.ts';
import type { Run } from '../../core/run.ts';
import { openFile } from '../file.ts';
import type { Opening } from '../peel.ts';
import { archiveOf } from './begin.ts';
import type { OldBase } from './layout.ts';

/** What the archives of a base backup came to, read to their ends. `passed`: files that no manifest knew. */
export type ReadBase = { files: number; bytes: number; control: Kept['control']; passed: Passed };

type Each = (tablespace: string, chunks: AsyncIterable<Buffer>) => Promise<void>;

/**
 * Reads each archive to its end, and holds every file in it against PostgreSQL's manifest, where there is one.
 * @param each takes the bytes of an archive, in order; they count for nothing before this has answered.
 * @throws {PgproofError} `tar-invalid`, `object-damaged`, `backup-unverified`, `manifest-invalid`; what `each` throws.
 */
export async function readWhole(
  base: OldBase,
  manifest: Buffer | null,
  opening: Opening,
  run: Run,
  each: Each = async (_, chunks) => {
    for await (const _chunk of chunks);
  },
): Promise<ReadBase> {
  const algorithm = manifest === null ? 'CRC32C' : algorithmOf(manifest);
  const passed: Passed = new Map();
  let control: Kept['control'] = null;
  let doneBytes = 0;
  for (const name of tablespacesOf(base)) {
    const tap = new Tap(passed, name === 'pgdata' ? null : name, algorithm);
    const file = await openFile(archiveOf(base, name === 'pgdata' ? 'base' : name), opening);
    const tapped = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of file.plain(run.signal)) {
        tap.read(chunk);
        doneBytes += chunk.length;
        run.progress({ phase: 'read the base backup', doneBytes });
        yield chunk;
      }
      tap.finish();
    };
    await each(name, tapped());
    control ??= tap.kept.control;
  }
  if (manifest !== null) return { ...verifyPassed(manifest, passed, algorithm), control, passed };
  return {
    files: passed.size,
    bytes: [...passed.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    control,
    passed,
  };
}

/** Those that are there; `pgdata` last: what a tablespace holds is read before the folder that links to it. */
const tablespacesOf = ({ archives }: OldBase): string[] => [
  ...[...archives.keys()].filter((name) => /^\d+$/.test(name)),
  'pgdata',
];

/** The first file's: pg_basebackup uses one for all of them. */
function algorithmOf(manifest: Buffer): ChecksumAlgorithm {
  let found: string | null = null;
  readManifest(manifest, ({ algorithm }) => {
    found ??= algorithm;
  });
  return checksumAlgorithms.find((each) => each === found) ?? 'CRC32C';
}
