import { pino } from 'pino';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import { startRestore } from '../../restore/start.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import { withStore } from '../support/repositories.ts';

/* Carries out a plan until its 20th read of WAL, which hangs; says so to its parent, which kills it:  node hanging-restore.ts <config file> <plan> */

const [configFile, planId] = process.argv.slice(2) as [string, string];
const host = await openHost({ configFile, host: 'db-7', log: pino({ level: 'silent' }) });
const cluster = await openCluster(host, 'shop');
const rules: FaultPlan = [{ on: 'read', key: /0000001D-/, fault: { kind: 'hang' } }];
const store = faulty(cluster.repository.store, rules);
const read: typeof store.read = (key, options) => {
  if (/0000001D-/.test(key)) process.send?.('hangs');
  return store.read(key, options);
};
const wrapped = { ...bound(store), read };
await startRestore(withStore(cluster, wrapped), planId, {
  signal: new AbortController().signal,
  progress: () => {},
});

function bound({ create, list, remove }: typeof store) {
  return { create: create.bind(store), list: list.bind(store), remove: remove.bind(store) };
}
