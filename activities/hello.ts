import * as z from 'zod';
import type { ServerRole } from '../core/placing.ts';
import { features } from '../core/request.ts';
import { clusterConfig } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { askRole } from '../postgres/role.ts';
import { atEdge } from './edge.ts';
import { sectionHash } from './section-hash.ts';

export type Greeting = {
  host: string;
  version: string;
  /** What this worker can do: a control worker that is newer says "upgrade db-7 first". */
  features: readonly string[];
  /** Of the cluster's section in this host's own config. */
  configHash: string;
  /** What the cluster's server here is, where the cluster spans hosts: otherwise nobody needs to know. */
  server?: ServerRole;
};

/** Says who is there. A host answers only for clusters that its own config puts on it. */
export function helloSteps(host: Host, version: string) {
  return {
    hello: atEdge(z.object({ cluster: z.string() }), async ({ cluster }, { signal }): Promise<Greeting> => {
      const config = clusterConfig(host, cluster);
      const configHash = sectionHash(config);
      const server = config.host.length === 1 ? {} : { server: await askRole(config.connection, { signal }) };
      return { host: host.name, version, features, configHash, ...server };
    }),
  };
}
