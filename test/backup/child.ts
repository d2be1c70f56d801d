import { pino } from 'pino';
import { takeBackup } from '../../backup/backup.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { stopDead } from '../support/stop-dead.ts';
import { storeWith } from '../support/store-with.ts';

/*
 * A process that takes a backup and stops dead at a chosen place, so that a test can kill it just there.
 *   node child.ts <config file> copying|committing|nowhere
 */

const [configFile, place] = process.argv.slice(2) as [string, 'copying' | 'committing' | 'nowhere'];

const host = await openHost({ configFile, host: 'db-7', log: pino({ level: 'silent' }) });
const cluster = await openCluster(host, 'shop');
if (place === 'committing') cluster.repository.store = stoppingBeforeCommit(cluster.repository.store);

await takeBackup(cluster, {
  signal: new AbortController().signal,
  progress: ({ phase, doneBytes = 0 }) => {
    if (place === 'copying' && phase === 'copy' && doneBytes > 4_000_000) stopDead();
  },
});

function stoppingBeforeCommit(store: ObjectStore): ObjectStore {
  return storeWith(store, {
    create: (key, body, options) => {
      if (/\/backups\/[^/]+\.json$/.test(key)) stopDead();
      return store.create(key, body, options);
    },
  });
}
