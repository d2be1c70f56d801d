import type { DumpFormat, DumpKind } from '../core/dump.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { ArchiveCheck } from '../dump/archive/check.ts';
import { CustomCheck } from '../dump/archive/custom.ts';
import { PlainCheck } from '../dump/archive/plain.ts';
import { TarCheck } from '../dump/archive/tar.ts';
import { DirectoryCheck } from './directory-check.ts';
import { named } from './file.ts';
import type { DumpHead } from './head.ts';

type What = { path: string; format: DumpFormat; kind: DumpKind; head: DumpHead };

/** Archives of pg_dump 12 to 18, whose form dump/archive knows. */
const known = ['1.14', '1.15', '1.16'];

/** What tells whether a dump has come to its end; null where an archive is older than that, and only pg_restore reads it. */
export function endCheck({ format, kind, head }: Omit<What, 'path'>): ArchiveCheck | null {
  if (format === 'plain') return new PlainCheck(kind === 'database' ? 'pg_dump' : 'pg_dumpall');
  if (head.archiveVersion === null || !known.includes(head.archiveVersion)) return null;
  if (format === 'directory') return new DirectoryCheck();
  return format === 'tar' ? new TarCheck() : new CustomCheck();
}

/**
 * The same bytes, and an error at their end unless it is the end of a whole dump.
 * @throws {PgproofError} `object-damaged`, with the path.
 */
export async function* toItsEnd(
  bytes: AsyncIterable<Buffer>,
  path: string,
  check: ArchiveCheck | null,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of bytes) {
      check?.read(chunk);
      yield chunk;
    }
    check?.finish();
  } catch (error) {
    if (!hasCode(error, 'dump-unverified', 'tar-invalid')) throw error;
    const why = typeof error.facts.why === 'string' ? error.facts.why : error.message;
    throw named(path, new PgproofError('object-damaged', `it is no whole dump: ${why}`, { cause: error }));
  }
}
