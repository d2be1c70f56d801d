import type { DecidedDump, DumpKind } from '../core/dump.ts';

/** What one dump is of. `database` is null for globals and for the whole server. */
export type DumpTarget = { kind: DumpKind; database: string | null; tier: string; options: DecidedDump };
