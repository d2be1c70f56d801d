import { createHash } from 'node:crypto';
import { throwIfAborted } from '../core/abort.ts';
import type { ClusterConfig } from '../core/config.ts';
import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import type { Run } from '../core/run.ts';
import type { Entries } from '../dump/archive/check.ts';
import { entriesOf } from '../dump/archive/check.ts';
import { Lister } from '../dump/list.ts';
import { findClients } from '../postgres/clients.ts';
import { supportedMajors } from '../postgres/version.ts';
import { writtenChecksum } from './checksum.ts';
import { endCheck } from './end.ts';
import { named } from './file.ts';
import type { FileSource } from './file-source.ts';
import type { OldDump } from './inventory.ts';

/** What reading an old dump from its beginning to its end came to. */
export type Inspected = {
  /** Of the plain stream, as of all dumps. */
  sha256: string;
  plainBytes: number;
  entries: Entries | null;
  /** `checksum`, `trailer`, `list`: what it was held against. */
  verified: string[];
  notes: string[];
};

/**
 * Reads an old dump to its end: every layer, its checksum, its trailer, and what pg_restore makes of it.
 * @param take is handed the plain bytes, which count for nothing unless the answer comes.
 * @throws {PgproofError} `object-damaged`, with the path; what opening it came to; what `take` throws.
 */
export async function inspect(
  dump: OldDump,
  tools: ClusterConfig['tools'],
  run: Run,
  take: (chunk: Buffer) => Promise<void> = async () => {},
): Promise<Inspected> {
  const source = opened(dump);
  const expected = await expectedChecksum(dump);
  const check = endCheck(source);
  const { lister, notes } = await listerFor(source, tools, run.signal);
  const hash = createHash('sha256');
  let plainBytes = 0;
  try {
    for await (const bytes of source.open(run.signal, expected, check)) {
      const chunk = bytes as Buffer;
      hash.update(chunk);
      plainBytes += chunk.length;
      run.progress({ phase: 'read', doneBytes: plainBytes, note: printable(dump.name) });
      await lister?.write(chunk);
      await take(chunk);
    }
    await listed(lister, dump.path);
  } catch (error) {
    throwIfAborted(run.signal);
    throw error;
  } finally {
    lister?.kill();
  }
  return {
    sha256: hash.digest('hex'),
    plainBytes,
    entries: check?.toc === undefined ? null : entriesOf(check.toc),
    verified: [
      ...(expected === null ? [] : ['checksum']),
      ...(check === null ? [] : ['trailer']),
      ...(lister === null ? [] : ['list']),
    ],
    notes: [...notes, ...(check === null ? ['whether it was cut is not known: pg_dump is older than 12'] : [])],
  };
}

function opened({ source, error }: OldDump): FileSource {
  if (source === null) throw error;
  return source;
}

/** @throws {PgproofError} `object-damaged` where what was written down of the file contradicts itself, or its size. */
async function expectedChecksum({ path, source, report, storedBytes }: OldDump): Promise<string | null> {
  if (source?.format === 'directory') return null;
  const written = await writtenChecksum(path);
  const reported = report?.sha256 ?? null;
  if (report?.storedBytes != null && report.storedBytes !== storedBytes)
    throw contradicted(path, `it has ${storedBytes} bytes, and its report says ${report.storedBytes}`);
  if (written !== null && reported !== null && written !== reported)
    throw contradicted(path, 'its .sha256 and its report say different checksums');
  return written ?? reported;
}

function contradicted(path: string, why: string): unknown {
  return named(path, new PgproofError('object-damaged', why));
}

/** The form of archives changed with 16 and 17; a newer pg_restore reads all older ones. */
const readableBy: Record<string, number> = { '1.15': 16, '1.16': 17 };

async function listerFor(
  { format, head, path }: FileSource,
  tools: ClusterConfig['tools'],
  signal: AbortSignal,
): Promise<{ lister: Lister | null; notes: string[] }> {
  if (format === 'plain') return { lister: null, notes: [] };
  const major = readableBy[head.archiveVersion ?? ''] ?? supportedMajors.oldest;
  try {
    const clients = await findClients(tools, major, 'this dump');
    return { lister: new Lister(clients, signal, format === 'directory' ? path : undefined), notes: [] };
  } catch (error) {
    if (!hasCode(error, 'tool-missing', 'tool-outdated')) throw error;
    return { lister: null, notes: [`pg_restore has not looked at it: ${error.message}`] };
  }
}

async function listed(lister: Lister | null, path: string): Promise<void> {
  try {
    await lister?.finish();
  } catch (error) {
    const known = asPgproofError(error);
    if (known.code !== 'dump-unverified') throw known;
    throw named(path, new PgproofError('object-damaged', known.message, { cause: known }));
  }
}
