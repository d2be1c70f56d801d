import { join } from 'node:path';
import type { ClusterPaths } from '../postgres/cluster.ts';

/**
 * The value archive_command must have for this cluster, to be quoted as a setting by whoever writes it. PostgreSQL replaces
 * %p and %f, so a percent sign of a folder is doubled.
 */
export function archiveCommand({ scripts, spool }: Pick<ClusterPaths, 'scripts' | 'spool'>): string {
  const script = join(scripts, 'archive-wal');
  return `${shellWord(script)} ${shellWord(spool)} "%p" "%f"`;
}

const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''").replaceAll('%', '%%')}'`;
