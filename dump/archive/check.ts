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
