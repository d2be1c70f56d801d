import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { StallWatch } from '../parts/stall.ts';
import { PartWriter } from '../parts/writer.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { whyToolFailed } from '../postgres/run.ts';
import { manifestChecksums, startBaseBackup } from './basebackup.ts';
import type { CopiedBase, CopyJob } from './copied.ts';
import { pass, pipeSuffix } from './stream.ts';
import { type Kept, type Passed, Tap } from './tap.ts';

/** The copy may grow while it is made, and tar adds headers. */
const spaceMargin = 1.1;

/**
 * Copies a cluster with extra tablespaces. pg_basebackup sends only one archive to its standard output, so all of them are
 * staged on this host's disk first, then read, verified, stored, and removed one after the other.
 * @throws {PgproofError} `no-space` before anything is copied; and what `streamBase` throws.
 */
export async function stageBase(job: CopyJob, watch: StallWatch): Promise<CopiedBase> {
  const folder = join(job.cluster.paths.backups, `${job.id}${stagingSuffix}`);
  await refuseTooLittleSpace(job);
  await mkdir(folder, { mode: 0o700 });
  try {
    await stage(job, folder, watch);
    return await storeStaged(job, folder, watch);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes what killed attempts have left. Call it under the cluster's lock, when no copy runs. */
export async function removeStagingLeftovers({ paths }: ProtectedCluster): Promise<void> {
  for (const name of await readdir(paths.backups)) {
    if (name.endsWith(stagingSuffix) || name.endsWith(pipeSuffix))
      await rm(join(paths.backups, name), { recursive: true, force: true });
  }
}

const stagingSuffix = '.staging';

async function refuseTooLittleSpace({ cluster, expectedBytes }: CopyJob): Promise<void> {
  if (expectedBytes === null) {
    throw new PgproofError('rights-missing', 'the server does not tell this role how large the tablespaces are', {
      hint: `Run as a superuser: GRANT pg_read_all_stats TO "${cluster.config.connection.user}"; If it has that, the server took too long: try again.`,
    });
  }
  const folder = cluster.paths.backups;
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const neededBytes = Math.ceil(expectedBytes * spaceMargin);
  if (freeBytes >= neededBytes) return;
  throw new PgproofError('no-space', `staging needs ${neededBytes} bytes in '${folder}', and ${freeBytes} are free`, {
    facts: { path: folder, neededBytes, freeBytes },
    hint: 'A cluster with extra tablespaces is staged on this host first: free space, or give the state folder (hosts.<name>.state) a larger disk.',
  });
}

async function stage(job: CopyJob, folder: string, watch: StallWatch): Promise<void> {
  const tool = await startBaseBackup(job, folder, watch);
  tool.stdout.resume(); // it says nothing there
  const growth = setInterval(() => void watchGrowth().catch(() => {}), 1000);
  let seen = 0;
  const watchGrowth = async (): Promise<void> => {
    const bytes = await bytesIn(folder);
    if (bytes > seen) watch.waitsFor('server');
    seen = bytes;
  };
  try {
    await tool.ended;
  } catch (error) {
    throw await whyToolFailed(tool, error);
  } finally {
    clearInterval(growth);
  }
}

async function storeStaged(job: CopyJob, folder: string, watch: StallWatch): Promise<CopiedBase> {
  const passed: Passed = new Map();
  const tablespaces: CopiedBase['tablespaces'] = [];
  let kept: Kept = { manifest: null, control: null };
  for (const name of await stagedArchives(folder)) {
    const oid = name === 'base' ? null : name;
    const tap = new Tap(passed, oid, manifestChecksums);
    const parts = await storeArchive(job, join(folder, `${name}.tar`), oid ?? 'pgdata', tap, watch);
    tablespaces.push({ name: oid ?? 'pgdata', path: pathOf(job, oid), parts });
    if (oid === null) kept = tap.kept;
  }
  return { tablespaces, passed, control: kept.control, manifest: await readFile(join(folder, 'backup_manifest')) };
}

async function storeArchive(job: CopyJob, file: string, tablespace: string, tap: Tap, watch: StallWatch) {
  const parts = new PartWriter(job.partsOf(tablespace, watch.signal));
  try {
    await pass(createReadStream(file, { highWaterMark: 1024 * 1024, signal: watch.signal }), tap, parts, job, watch);
    tap.finish();
    const stored = await parts.finish();
    await rm(file); // room for whoever else needs it
    return stored;
  } catch (error) {
    await parts.abandon(error as Error);
    throw error;
  }
}

/** `base` last: what a tablespace holds is read before the folder that links to it. */
async function stagedArchives(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name !== 'backup_manifest');
  const unknown = names.find((name) => !/^(base|\d+)\.tar$/.test(name));
  if (unknown !== undefined || !names.includes('base.tar')) {
    throw new PgproofError('tool-output', `pg_basebackup wrote '${unknown ?? 'no base.tar'}'`, {
      facts: { files: names },
    });
  }
  return names
    .map((name) => name.slice(0, -'.tar'.length))
    .sort((a, b) => (a === 'base' ? 1 : b === 'base' ? -1 : Number(a) - Number(b)));
}

function pathOf({ server }: CopyJob, oid: string | null): string | null {
  if (oid === null) return null;
  const found = server.tablespaces.find((tablespace) => tablespace.oid === oid);
  if (found !== undefined) return found.path;
  throw new PgproofError('backup-unverified', `tablespace ${oid} was made while the copy began`, {
    facts: { tablespace: oid },
    hint: 'Take the backup again.',
  });
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
