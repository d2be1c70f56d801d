import { clusterConfig, findCluster } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { runWatch } from '../watch/watch.ts';
import { loopPatienceMs } from './patience.ts';

/** Says in this host's log which objectives of a cluster are broken, until the signal aborts: with a code, at level error. */
export async function keepWatch(host: Host, name: string, signal: AbortSignal): Promise<void> {
  const log = host.log.child({ cluster: name });
  await runWatch(
    clusterConfig(host, name),
    ({ signal }) => findCluster(host, name, { signal, patienceMs: loopPatienceMs }),
    {
      signal,
      onAlarm: (alarm) => log.error({ ...alarm.toDocument() }, `ALARM: ${alarm.message}`),
      onMended: ({ code, facts, message }) => log.info({ code, facts }, `no longer so: ${message}`),
    },
  );
}
