import { PgproofError } from '../../core/errors.ts';
import type { Toc } from './toc.ts';

/** What is in an archive, as its table of contents counts it. */
export type Entries = { total: number; tables: number; tableData: number };

/** Looks at a dump while it passes, and says at its end whether that was one. */
export type ArchiveCheck = {
  /** Known once the head has passed; what has none never knows one. */
  readonly toc: Toc | undefined;
  /** @throws {PgproofError} `dump-unverified`, `tar-invalid` */
  read(chunk: Buffer): void;
  /** @returns null for SQL. @throws {PgproofError} `dump-unverified`, `tar-invalid`: it is not whole. */
  finish(): Entries | null;
};

export const entriesOf = ({ total, tables, tableData }: Toc): Entries => ({ total, tables, tableData });

export function unverified(why: string): PgproofError {
  return new PgproofError('dump-unverified', `what pg_dump wrote is no whole dump: ${why}`, {
    facts: { why },
    hint: 'Nothing was committed. If it happens again, look at the log of the server and at the disk of this host.',
  });
}
