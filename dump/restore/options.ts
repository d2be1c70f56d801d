import * as z from 'zod';
import { dumpContents } from '../../core/dump.ts';

/** How a dump is restored; a part of the frozen plan. */
export const dumpRestoreOptions = z.object({
  content: z.enum(dumpContents).default('all'),
  /** Names, as pg_restore takes them; none: all. */
  tables: z.array(z.string()).default([]),
  schemas: z.array(z.string()).default([]),
  /** What `pg_restore --list` printed, as somebody edited it. */
  select: z.string().nullable().default(null),
  /** More than one needs a copy of the dump in the staging folder. Ignored for SQL and tar, which have one. */
  jobs: z.number().int().min(1).max(64).default(2),
  /** `dump`: as in the dump; `none`: whoever restores owns it all; otherwise the role that does. */
  owner: z.union([z.literal('dump'), z.literal('none'), z.object({ role: z.string() })]).default('dump'),
  /** False: without grants. */
  privileges: z.boolean().default(true),
  /** `missing`: roles of the dump's server that this one lacks; `replace`: also those that differ. */
  globals: z.enum(['none', 'missing', 'replace']).default('none'),
  /** Always so where it goes into a database that holds something (`decideRestore`). */
  singleTransaction: z.boolean().default(false),
});
/** All have defaults. */
export type DumpRestoreOptions = z.input<typeof dumpRestoreOptions>;
export type DecidedRestore = z.output<typeof dumpRestoreOptions>;

/**
 * `new`: made by the restore, must not exist; `existing`: there, and empty; `add`: there, what the dump has comes to what it holds;
 * `clean`: objects of the dump are dropped first.
 */
export const restoreModes = ['new', 'existing', 'add', 'clean'] as const;
export type DumpRestoreMode = (typeof restoreModes)[number];

/**
 * A database that holds something takes all of it or nothing: pg_restore goes on after an error, and would put rows into a table that it
 * could not drop, beside those that are there; so would a second start after a first that came half way.
 */
export function decideRestore(asked: DumpRestoreOptions, mode: DumpRestoreMode): DecidedRestore {
  const options = dumpRestoreOptions.parse(asked);
  if (!isShared(mode)) return options;
  return { ...options, jobs: asked.jobs ?? 1, singleTransaction: true };
}

/** It goes into a database that holds something. */
export const isShared = (mode: DumpRestoreMode | 'replace'): boolean => mode === 'add' || mode === 'clean';
