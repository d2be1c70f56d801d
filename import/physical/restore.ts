import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../../core/run.ts';
import type { RecoveryTarget } from '../../core/target.ts';
import { readControlData } from '../../postgres/control.ts';
import { findTools } from '../../postgres/tools.ts';
import { type Tar, unpackTars } from '../../restore/fetch.ts';
import { checkTargetFolder, refuseWithoutSpace } from '../../restore/folder.ts';
import { withPlanLock } from '../../restore/lock.ts';
import { readMarker } from '../../restore/marker.ts';
import type { RestorePlan, RestoreResult } from '../../restore/record.ts';
import { carryOut, type Source } from '../../restore/start.ts';
import { verifyBackup } from '../../restore/verify.ts';
import { openFile } from '../file.ts';
import type { Opening } from '../peel.ts';
import { archiveOf } from './begin.ts';
import { type OpenedBase, openBase, type Place } from './opened.ts';
import { planOld } from './plan.ts';

export type RestoreOld = {
  /** The script's folder, with base/ and wal/ in it. */
  dir: string;
  /** `base_20260114_120000`. */
  base: string;
  target: RecoveryTarget;
  /** The data directory to be: absolute, empty or absent, or begun by this very command. */
  into: string;
  place: Place;
  opening: Opening;
};

/**
 * Restores a base backup of an old script, with the WAL of its archive, to any target: with the same steps, checks and refusals as a
 * restore from a repository. It ends promoted and stopped. The old folder is only read.
 * @throws {PgproofError} as `planRestore` and `startRestore`; `passphrase-missing`, `passphrase-wrong`, `file-refused`.
 */
export async function restoreBase(order: RestoreOld, run: Run): Promise<RestoreResult> {
  const { dir, base, target, place, opening } = order;
  return withScratch(place, async (scratch) => {
    const opened = await openBase(dir, base, { place, opening, timeline: target.timeline }, scratch, run);
    const { cluster } = opened.archive;
    const begun = await readMarker(order.into);
    const into = await checkTargetFolder(cluster, order.into, begun !== null);
    const plan = await planOld(opened, target, into, run);
    if (begun === null) await refuseWithoutSpace(into, plan.requiredBytes);
    return withPlanLock(cluster, plan, run.signal, (signal) =>
      carryOut(cluster, plan, { ...run, signal }, {}, fromFolder(opened, plan, opening, { ...run, signal })),
    );
  });
}

/** A private folder for as long as `use` takes; what a killed one leaves goes with the next scan (wal/scan.ts). */
export async function withScratch<T>({ paths }: Place, use: (scratch: string) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(paths.fetch, `scan-${process.pid}-`));
  try {
    return await use(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
  }
}

function fromFolder(opened: OpenedBase, plan: RestorePlan, opening: Opening, run: Run): Source {
  const { archive, manifest } = opened;
  return {
    fetch: async (watched) => {
      await unpackTars(plan, tarsOf(opened, opening, watched));
      if (manifest !== null) await writeFile(join(plan.into, 'backup_manifest'), manifest, { mode: 0o600 });
    },
    verify: async () => {
      if (manifest !== null) await verifyBackup(archive.cluster, plan, run);
    },
    minimums: async () => {
      const tools = await findTools(archive.cluster.config.tools.bin, plan.major);
      return (await readControlData(tools, plan.into, run)).minimums;
    },
  };
}

function tarsOf({ base, record }: OpenedBase, opening: Opening, run: Run): Tar[] {
  let doneBytes = 0;
  return record.tablespaces.map(({ name }) => ({
    name,
    feed: async (take) => {
      const file = await openFile(archiveOf(base, name === 'pgdata' ? 'base' : name), opening);
      for await (const chunk of file.plain(run.signal)) {
        doneBytes += chunk.length;
        run.progress({ phase: 'fetch', doneBytes });
        await take(chunk);
      }
    },
  }));
}
