import * as z from 'zod';
import { check, type Finding } from '../check/check.ts';
import { openCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { atEdge } from './edge.ts';

/** What `check` finds on this host. */
export type Checked = { findings: Finding[] };

/** The same as `pgproof check` on the host itself; writes no report. */
export function checkSteps(host: Host) {
  return {
    runCheck: atEdge(z.object({ cluster: z.string() }), async ({ cluster: name }, { signal }): Promise<Checked> => {
      const cluster = await openCluster(host, name, { signal });
      return { findings: await check(cluster, { signal }) };
    }),
  };
}
