import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ClusterConfig } from '../core/config.ts';

/** Tells whether two configs say the same of a cluster, defaults included. The section holds no secret, only where secrets are. */
export function sectionHash(section: ClusterConfig): string {
  return createHash('sha256')
    .update(canonicalize(section) as string)
    .digest('hex')
    .slice(0, 16);
}
