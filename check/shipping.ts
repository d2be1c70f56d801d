import type { ProtectedCluster } from '../postgres/cluster.ts';
import { listForeign } from '../wal/foreign.ts';
import { makeSpool } from '../wal/spool.ts';
import { isSpoolLocked } from '../wal/spool-lock.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** Whether somebody takes WAL out of the spool, and whether some of it was refused. */
export async function checkShipping({ name, paths }: ProtectedCluster): Promise<Finding[]> {
  const spool = await makeSpool(paths.spool);
  const shipper = (await isSpoolLocked(spool.root))
    ? ok('shipper', 'a worker ships the WAL of this cluster')
    : warning(
        'shipper',
        'no worker ships the WAL of this cluster now: it waits in the spool',
        'pgproof up, or pgproof worker',
      );
  const foreign = await listForeign(spool);
  const [first] = foreign;
  if (first === undefined) return [shipper, ok('refused-wal', 'none')];
  const detail = `${foreign.length} files were refused and are kept aside, the first is ${first.file}: ${first.reason}`;
  return [shipper, problem('refused-wal', detail, `pgproof wal quarantine list ${name}`)];
}
