import type { StallWatch } from '../parts/stall.ts';
import { CustomCheck } from './archive/custom.ts';
import { PlainCheck } from './archive/plain.ts';
import { TarCheck } from './archive/tar.ts';
import { dumpArgs, dumpallArgs } from './argv.ts';
import { takeDirectory } from './directory/take.ts';
import type { DumpJob } from './job.ts';
import { type Taken, takeStream } from './stream.ts';

/** Dumps what the target says, in the format that it says. */
export async function takeTarget(job: DumpJob, watch: StallWatch): Promise<Taken> {
  const { target, fit, cluster } = job;
  const { connection } = cluster.config;
  if (target.kind === 'globals') return takeGlobals(job, watch);
  if (target.kind === 'cluster') {
    const args = dumpallArgs(connection, { globals: false, options: target.options }, fit.rolePasswords);
    const order = { program: 'pg_dumpall', args, stream: 'dump.sql', isArchive: false } as const;
    return takeStream(job, { ...order, check: new PlainCheck('pg_dumpall') }, watch);
  }
  const { format } = target.options;
  if (format === 'directory') return takeDirectory(job, watch);
  const how = { major: fit.clients.major, compression: fit.compression, destination: null };
  const args = dumpArgs(connection, { ...target, database: target.database as string }, how);
  return takeStream(job, { program: 'pg_dump', args, ...forms[format]() }, watch);
}

/** Roles, tablespaces and settings of the server, as SQL. */
export function takeGlobals(job: DumpJob, watch: StallWatch): Promise<Taken> {
  const { fit, cluster, target } = job;
  const encoding = target.kind === 'globals' ? target.options.encoding : null;
  const args = dumpallArgs(cluster.config.connection, { globals: true, encoding }, fit.rolePasswords);
  const order = { program: 'pg_dumpall', args, stream: 'globals.sql', isArchive: false } as const;
  return takeStream(job, { ...order, check: new PlainCheck('pg_dumpall') }, watch);
}

const forms = {
  custom: () => ({ stream: 'dump.custom', check: new CustomCheck(), isArchive: true }) as const,
  tar: () => ({ stream: 'dump.tar', check: new TarCheck(), isArchive: true }) as const,
  plain: () => ({ stream: 'dump.sql', check: new PlainCheck('pg_dump'), isArchive: false }) as const,
};
