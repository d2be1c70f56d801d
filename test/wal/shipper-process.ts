import { runShipper } from '../../wal/shipper.ts';
import { openArchive } from './support.ts';
import { openTwo } from './two.ts';

/** A shipper in a process of its own, to be killed: shipper-process.ts FOLDER [two]. */
const [, , folder = '', repositories] = process.argv;
const { cluster } =
  repositories === 'two' ? await openTwo(folder) : await openArchive(folder, { key: true, era: false });
const stopped = new AbortController();
process.once('SIGTERM', () => stopped.abort());
await runShipper(cluster, {
  signal: stopped.signal,
  intervalMs: 50,
  onPass: (pass) => process.stdout.write(`${pass.shipped.length} ${pass.error?.message ?? ''}\n`),
});
