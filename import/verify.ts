import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { type Inspected, inspect } from './inspect.ts';
import type { OldDump } from './inventory.ts';
import { openSource, type SourceOptions } from './source.ts';

export type VerifiedDump = {
  place: string;
  whole: boolean;
  /** Null where it is not whole. */
  found: Inspected | null;
  error: PgproofError | null;
};

/**
 * Reads an old dump, and the globals beside it, to their ends. What is wrong with them is the answer, and not thrown.
 * @throws {PgproofError} what is wrong with this host, such as a signal's reason.
 */
export async function verifyDump(dump: OldDump, opening: SourceOptions, run: Run): Promise<VerifiedDump> {
  try {
    const found = await inspect(dump, { bin: 'auto' }, run);
    if (dump.globals !== null) await readGlobals(dump.globals, opening, run);
    return { place: dump.place, whole: true, found, error: null };
  } catch (thrown) {
    const error = asPgproofError(thrown);
    if (run.signal.aborted || !isOfTheFile(error)) throw thrown;
    return { place: dump.place, whole: false, found: null, error };
  }
}

/** Everything else is wrong with a repository or this host, and would be with the next file. */
export const isOfTheFile = (error: PgproofError): boolean =>
  hasCode(error, 'object-damaged', 'file-refused', 'file-unknown', 'passphrase-missing', 'passphrase-wrong');

async function readGlobals(path: string, opening: SourceOptions, { signal }: Run): Promise<void> {
  for await (const _ of (await openSource(path, opening)).open(signal)); // its end is what counts
}
