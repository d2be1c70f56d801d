import * as z from 'zod';
import type { Config } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { type HostQueues, hostQueues } from '../core/queues.ts';
import { type Feature, features } from '../core/request.ts';
import type { Timeouts } from '../core/timeouts.ts';
import { atEdge } from './edge.ts';
import { sectionHash } from './section-hash.ts';

/** A host of the cluster, and where its steps are taken from. */
export type Place = { host: string; queues: HostQueues };

/** Where a cluster's steps run, and how long they may take. Fixed in the workflow's history from the first step on. */
export type Resolved = Place & {
  cluster: string;
  timeouts: Timeouts;
  /** Of the cluster's section as the control worker's config has it; `hello` answers with the host's. */
  configHash: string;
  /** All hosts that may do it, in the config's order; `host` is the first until they were asked. Absent in old histories. */
  candidates?: readonly Place[];
  /** Where the config, or who asks, wants a backup or a dump to be taken. */
  prefer?: 'primary' | 'standby';
  /** What is to be done: it decides who waits for whom. */
  operation?: Feature;
  /** Where the cluster's primary was found. Only of clusters that span hosts. */
  primary?: Place | null;
};

/** The steps of the control worker. It knows which host a cluster is on, and has no rights on any database. */
export function createControlActivities({ config, timeouts }: { config: Config; timeouts: Timeouts }) {
  return {
    resolve: atEdge(
      z.object({
        cluster: z.string(),
        operation: z.enum(features),
        host: z.string().nullish(),
        prefer: z.enum(['primary', 'standby']).nullish(),
      }),
      async ({ cluster, operation, host = null, prefer = null }): Promise<Resolved> => {
        const section = Object.hasOwn(config.clusters, cluster) ? config.clusters[cluster] : undefined;
        if (section === undefined) throw unknownCluster(cluster, config);
        const hosts = host === null ? section.host : section.host.filter((name) => name === host);
        if (hosts.length === 0) throw elsewhere(cluster, host as string, section.host);
        if (operation === 'restore' && hosts.length > 1) throw whichHost(cluster, hosts);
        const candidates = hosts.map((name): Place => ({ host: name, queues: hostQueues(config.fleet, name) }));
        const configHash = sectionHash(section);
        return {
          cluster,
          ...(candidates[0] as Place),
          timeouts,
          configHash,
          candidates,
          prefer: prefer ?? (operation === 'dump' ? section.dumps.prefer : undefined) ?? section.prefer,
          operation,
        };
      },
    ),
  };
}

export type ControlActivities = ReturnType<typeof createControlActivities>;

function unknownCluster(cluster: string, config: Config): PgproofError {
  const known = Object.keys(config.clusters);
  return new PgproofError('cluster-unknown', `the configuration defines no cluster '${cluster}'`, {
    facts: { cluster, known },
    hint: known.length === 0 ? 'It defines none at all.' : `It defines: ${known.join(', ')}.`,
  });
}

function elsewhere(cluster: string, host: string, hosts: readonly string[]): PgproofError {
  return new PgproofError('cluster-elsewhere', `cluster '${cluster}' has no host '${host}'`, {
    facts: { cluster, host, belongsTo: hosts },
    hint: `It is on ${hosts.join(', ')}.`,
  });
}

/** A plan lies on the host that froze it, and nobody else knows it. */
function whichHost(cluster: string, hosts: readonly string[]): PgproofError {
  return new PgproofError('usage', `cluster '${cluster}' is on ${hosts.join(', ')}, and a plan on one of them`, {
    facts: { cluster, hosts },
    hint: `Name the one that the plan was made on, as "host": {"cluster": "${cluster}", "plan": "…", "host": "${hosts[0]}"}.`,
  });
}
