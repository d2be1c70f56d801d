import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import { faulty } from '../../storage/fault.ts';
import { reportedVerify } from '../../verify/verify.ts';
import { quietRun } from '../support/run.ts';
import { silent } from '../support/temporal.ts';

/** A verify that unpacks a backup and hangs on its first part, to be killed: hanging-verify.ts CONFIG. */
const host = await openHost({ configFile: process.argv[2], host: 'db-7', log: silent });
const cluster = await openCluster(host, 'shop');
const store = faulty(cluster.repository.store, [{ on: 'read', key: /pgdata/, fault: { kind: 'hang' } }]);
const repository = { ...cluster.repository, store };
const asked = {
  repository: null,
  share: 0.001,
  restore: true,
  backup: null,
  repair: false,
  reason: null,
  requestedBy: 'nobody',
};
setInterval(() => undefined, 60_000); // a hanging read alone keeps no process alive
await reportedVerify({ ...cluster, repository, repositories: [repository] }, asked, quietRun(), null);
