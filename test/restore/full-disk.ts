import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { asPgproofError } from '../../core/errors.ts';
import { parseTarget } from '../../core/target.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { planRestore } from '../../restore/plan.ts';
import { startRestore } from '../../restore/start.ts';
import { withStore } from '../support/repositories.ts';

/*
 * Restores onto a file system that is full at the beginning, then one that fills up meanwhile, then one with room. Runs in a
 * mount namespace of its own, as an ordinary user:  node full-disk.ts <config file> <mount point> <its size in MiB>
 * Prints what happened as JSON.
 */

const [configFile, mount, sizeMib] = process.argv.slice(2) as [string, string, string];
const cluster = await openCluster(await openHost({ configFile, host: 'db-7', log: pino({ level: 'silent' }) }), 'shop');
const run = { signal: new AbortController().signal, progress: () => {} };
const into = join(mount, 'data');
const filler = join(mount, 'filler');

fillUp();
const planned = await failure(plan());
const writtenByPlan = readdirSync(mount).filter((name) => name !== 'filler');
rmSync(filler);

const { id } = await plan();
const started = await failure(startRestore(fillingUp(cluster), id, run));
const isServer = readdirSync(into).includes('recovery.signal');
rmSync(filler);
const { dataDir } = await startRestore(cluster, id, run);
console.log(JSON.stringify({ planned, writtenByPlan, started, isServer, dataDir, left: readdirSync(mount) }));

function plan() {
  return planRestore(cluster, { target: parseTarget('latest'), into }, run);
}

async function failure(work: Promise<unknown>): Promise<string | null> {
  return work.then(
    () => null,
    (error: unknown) => asPgproofError(error).code,
  );
}

/** Leaves some MiB: enough to begin, too little to end. */
function fillUp(): void {
  writeFileSync(filler, Buffer.alloc((Number(sizeMib) - 5) * 1024 * 1024));
}

function fillingUp(real: ProtectedCluster): ProtectedCluster {
  const { store } = real.repository;
  const read: typeof store.read = (key, options) => {
    if (key.includes('/base/')) fillUp();
    return store.read(key, options);
  };
  const wrapped = {
    create: store.create.bind(store),
    list: store.list.bind(store),
    remove: store.remove.bind(store),
    read,
  };
  return withStore(real, wrapped);
}
