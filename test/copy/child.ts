import { pino } from 'pino';
import { copyCluster } from '../../copy/cluster.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { stopDead } from '../support/stop-dead.ts';
import { storeWith } from '../support/store-with.ts';

/*
 * A process that copies and stops dead when it is about to create an object like this at the target, so that a test can kill
 * it just there.
 *   node child.ts <config file> <pattern of a key>
 */

const [configFile, pattern] = process.argv.slice(2) as [string, string];

const host = await openHost({ configFile, host: 'db-7', log: pino({ level: 'silent' }) });
const cluster = await openCluster(host, 'shop');
for (const repository of cluster.repositories.slice(1)) repository.store = stoppingAt(repository.store);

const run = { signal: new AbortController().signal, progress: () => undefined };
await copyCluster(cluster, { from: null, to: null }, run, { parallel: 1 });

function stoppingAt(store: ObjectStore): ObjectStore {
  return storeWith(store, {
    create: (key, body, options) => {
      if (new RegExp(pattern).test(key)) stopDead();
      return store.create(key, body, options);
    },
  });
}
