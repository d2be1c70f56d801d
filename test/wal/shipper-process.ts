import type { ObjectStore } from '../../storage/store.ts';
import { runShipper } from '../../wal/shipper.ts';
import { withRepositories } from '../support/repositories.ts';
import { storeWith } from '../support/store-with.ts';
import { openArchive } from './support.ts';
import { openTwo } from './two.ts';

/**
 * A shipper in a process of its own, to be killed: shipper-process.ts FOLDER one|two [before|after N]. It stands still, and says so,
 * where it stores WAL for the Nth time: before that is stored, or when it is and the answer has not come. No later one is stored.
 */
const [, , folder = '', repositories, moment, nth] = process.argv;
const { cluster } =
  repositories === 'two' ? await openTwo(folder) : await openArchive(folder, { key: true, era: false });
const stopped = new AbortController();
process.once('SIGTERM', () => stopped.abort());
let puts = 0;

function standing(store: ObjectStore): ObjectStore {
  const create: ObjectStore['create'] = async (key, ...rest) => {
    const put = key.includes('/wal/') ? ++puts : 0;
    if (nth === undefined || put < Number(nth)) return store.create(key, ...rest);
    if (put === Number(nth)) {
      if (moment === 'after') await store.create(key, ...rest);
      process.stdout.write('stands\n');
    }
    return new Promise(() => {});
  };
  return storeWith(store, { create });
}

const [first, ...others] = cluster.repositories.map((each) => ({ ...each, store: standing(each.store) }));
await runShipper(first === undefined ? cluster : { ...cluster, ...withRepositories([first, ...others]) }, {
  signal: stopped.signal,
  intervalMs: 50,
  onPass: (pass) => process.stdout.write(`${pass.shipped.length} ${pass.error?.message ?? ''}\n`),
});
