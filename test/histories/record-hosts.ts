import { parseTarget } from '../../core/target.ts';
import { planRestore } from '../../restore/plan.ts';
import { openPair, type Pair } from '../hosts/support.ts';
import { openFleet } from '../support/fleet.ts';
import { endRun, startFile, startRun } from '../support/places.ts';
import { majors } from '../support/postgres.ts';
import { startWorker } from '../support/stage.ts';
import { saveHistory } from './save.ts';

/*
 * As record.ts, of a cluster that spans two hosts: `node_modules/.bin/node test/histories/record-hosts.ts [FOLDER]`.
 */

const folder = process.argv[2] ?? import.meta.dirname;
const testRun = startRun();
Object.assign(process.env, testRun.env);
startFile();
let pair: Pair | undefined;
const fleet = await openFleet({
  major: majors.at(-1) as string,
  controlConfig: async (stage) => {
    pair = await openPair(stage);
    return pair.left.host.config;
  },
});
const { left, right, standby } = pair as unknown as Pair;
const workers = [await startWorker(left, true, 'db-7'), await startWorker(right, true, 'db-8')];
try {
  await save('backup-standby', 'backup');
  await save('dump-standby', 'dump', { prefer: 'standby' });
  await save('drill-hosts', 'drill');
  await save('verify-hosts', 'verify', { share: 50 });
  const run = { signal: new AbortController().signal, progress: () => undefined };
  const into = `${fleet.stage.folder}/restored`;
  const { id: plan } = await planRestore(right.cluster, { target: parseTarget('latest'), into }, run);
  await save('restore-unplaced', 'restore', { plan });
  await save('restore-hosts', 'restore', { plan, host: 'db-8' });
  await standby.stop();
  await save('backup-fallback', 'backup');
  await fleet.stage.server.stop();
  await save('backup-nowhere', 'backup');
} finally {
  for (const worker of workers) await worker.stop();
  await standby.dispose();
  await fleet.dispose();
  endRun(testRun);
}

async function save(name: string, ...[operation, request]: Parameters<typeof fleet.start>): Promise<void> {
  const run = await fleet.start(operation, request);
  await fleet.finish(run).catch((error: unknown) => console.log(`${name}: ${error}`));
  await saveHistory(fleet, name, run, folder);
}
