import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ClusterConfig } from '../core/config.ts';

/**
 * Tells whether two configs say the same of a cluster, defaults included. The section holds no secret, only where secrets are.
 * How a server is reached and where its programs are may differ between the hosts of a cluster.
 */
export function sectionHash(section: ClusterConfig): string {
  const { connection: _, tools: __, ...shared } = section;
  return createHash('sha256')
    .update(canonicalize(section.host.length === 1 ? section : shared) as string)
    .digest('hex')
    .slice(0, 16);
}
