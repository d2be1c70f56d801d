import * as z from 'zod';
import type { Config } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { type HostQueues, hostQueues } from '../core/queues.ts';
import { features } from '../core/request.ts';
import type { Timeouts } from '../core/timeouts.ts';
import { atEdge } from './edge.ts';
import { sectionHash } from './section-hash.ts';

/** Where a cluster's steps run, and how long they may take. Fixed in the workflow's history from the first step on. */
export type Resolved = {
  cluster: string;
  host: string;
  queues: HostQueues;
  timeouts: Timeouts;
  /** Of the cluster's section as the control worker's config has it; `hello` answers with the host's. */
  configHash: string;
};

/** The steps of the control worker. It knows which host a cluster is on, and has no rights on any database. */
export function createControlActivities({ config, timeouts }: { config: Config; timeouts: Timeouts }) {
  return {
    resolve: atEdge(
      z.object({ cluster: z.string(), operation: z.enum(features) }),
      async ({ cluster }): Promise<Resolved> => {
        const section = Object.hasOwn(config.clusters, cluster) ? config.clusters[cluster] : undefined;
        if (section === undefined) throw unknownCluster(cluster, config);
        const host = section.host[0] as string;
        return { cluster, host, queues: hostQueues(config.fleet, host), timeouts, configHash: sectionHash(section) };
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
