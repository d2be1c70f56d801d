import type { ClusterConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { parseName } from '../core/names.ts';
import type { Host } from './host.ts';
import { nearest } from './nearest.ts';

/**
 * A cluster's section of the config, for this host.
 * @throws {PgproofError} `name-invalid`, `cluster-unknown` (with the known ones), `cluster-elsewhere`.
 */
export function clusterConfig(host: Host, name: string): ClusterConfig {
  parseName('cluster', name);
  const { clusters } = host.config;
  const config = Object.hasOwn(clusters, name) ? clusters[name] : undefined;
  if (config === undefined) throw unknownCluster(host, name);
  if (config.host.includes(host.name)) return config;
  const owners = config.host.join("' or '");
  throw new PgproofError(
    'cluster-elsewhere',
    `cluster '${name}' belongs to host '${owners}', and this is '${host.name}'`,
    {
      facts: { cluster: name, host: host.name, belongsTo: config.host },
      hint: `Run this on ${config.host.join(' or ')}, or correct clusters.${name}.host in '${host.configFile}'.`,
    },
  );
}

function unknownCluster(host: Host, name: string): PgproofError {
  const known = Object.keys(host.config.clusters);
  const meant = nearest(name, known);
  return new PgproofError(
    'cluster-unknown',
    `cluster '${name}' is not defined in '${host.configFile}' (clusters: ${known.join(', ') || 'none'})`,
    {
      facts: { cluster: name, known, path: host.configFile },
      hint:
        meant === undefined ? 'Give one of these names, or add the cluster to the config.' : `Did you mean '${meant}'?`,
    },
  );
}
