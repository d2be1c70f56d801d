import { PgproofError } from '../../core/errors.ts';
import type { Clients } from '../../postgres/clients.ts';
import { type DecidedRestore, type DumpRestoreMode, isShared } from './options.ts';
import type { DumpSource } from './source.ts';

export type Way = {
  jobs: number;
  /** The dump lies in the staging folder, whole and checked, before anything is changed. */
  staged: boolean;
  notes: string[];
};

/**
 * How it gets to pg_restore: several jobs, another order, and a folder need a copy; and so does what changes a database that is there,
 * because a stream is proven at its end only.
 */
export function wayOf(
  { format }: Pick<DumpSource, 'format'>,
  options: Pick<DecidedRestore, 'jobs' | 'select' | 'singleTransaction'>,
  mode: DumpRestoreMode,
  { container }: Pick<Clients, 'container'>,
  inSections = false,
): Way {
  const inContainer = container !== undefined;
  if (inContainer && (format === 'directory' || options.select !== null || mode === 'clean')) {
    throw new PgproofError(
      'dump-unfit',
      `pg_restore runs in the container '${container}', which sees no file of this host: a directory dump, --select and --clean need one`,
      { facts: { container, format }, hint: 'Let tools.bin find the programs on this host: take tools.docker out.' },
    );
  }
  const isParallel = (format === 'custom' || format === 'directory') && !options.singleTransaction && !inContainer;
  const jobs = isParallel ? options.jobs : 1;
  const staged =
    format !== 'plain' &&
    (format === 'directory' || inSections || jobs > 1 || (isShared(mode) && !inContainer) || options.select !== null);
  const notes =
    options.jobs > 1 && options.singleTransaction ? ['One job only: a single transaction has one session.'] : [];
  return { jobs, staged, notes };
}
