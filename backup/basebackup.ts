import type { StallWatch } from '../parts/stall.ts';
import { connectionArgs, secretEnv } from '../postgres/client.ts';
import { longestSeconds, spawnTool, type ToolProcess } from '../postgres/run.ts';
import type { ChecksumAlgorithm } from './checksum.ts';
import type { CopyJob } from './copied.ts';

/** CRC-32C is what PostgreSQL does by default; it finds damage on the way, and the store's SHA-256 guards the parts. */
export const manifestChecksums: ChecksumAlgorithm = 'CRC32C';

/** How its walsender is called in pg_stat_activity: `pgproof` and the attempt's id. */
export const copyName = (id: string): string => `pgproof ${id}`;

/**
 * Starts `pg_basebackup` in tar format, without WAL: that comes through the archive, where recovery needs it anyway. PostgreSQL
 * then ends the copy only when its archiver has taken that WAL, and says on stderr that it waits.
 * @param destination `-` for the standard output, or a folder.
 * @param stdout a file descriptor that takes the standard output.
 */
export async function startBaseBackup(
  job: CopyJob,
  destination: string,
  watch: StallWatch,
  stdout?: number,
): Promise<ToolProcess> {
  const { id, tools } = job;
  const { connection } = job.cluster.config;
  const args = [
    ...connectionArgs(connection),
    ...['-D', destination, '-Ft', '-X', 'none', '--no-sync', '--checkpoint=fast', '--label', copyName(id)],
    `--manifest-checksums=${manifestChecksums}`,
  ];
  const env = { ...(await secretEnv(connection)), PGAPPNAME: copyName(id) };
  return spawnTool(tools, 'pg_basebackup', args, {
    signal: watch.signal,
    timeoutSeconds: longestSeconds,
    env,
    stdout,
    onStderr: job.said,
  });
}
