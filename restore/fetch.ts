import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Run } from '../core/run.ts';
import { PartReader, Spoiled, type Take } from '../parts/reader.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { findBackupIn } from '../repository/merged.ts';
import { Nearest } from '../repository/nearest.ts';
import type { BackupRecord } from '../repository/record.ts';
import { emptyFolder } from './clean.ts';
import type { RestorePlan } from './record.ts';
import { tablespaceFolder } from './tablespaces.ts';
import { Unpacker } from './unpack.ts';

type Fetched = Pick<RestorePlan, 'backupId' | 'into' | 'tablespaces'>;

/**
 * Fetches the plan's backup into its folder, which `prepareFolder` made ready. Each part is compared with what the signed
 * record says of it, under every cipher, and taken from the next repository where the nearest has it not whole.
 * @param copies asked afterwards for what was taken from elsewhere. @defaultValue the cluster's repositories
 * @throws {PgproofError} `object-damaged`, `object-missing`, `no-space`, `store-unreachable`, `backup-missing`, `signature-invalid`.
 */
export async function fetchBackup(
  cluster: ProtectedCluster,
  plan: Fetched,
  run: Run,
  copies: Nearest = new Nearest(cluster.repositories),
): Promise<BackupRecord> {
  const { signal } = run;
  const record = await findBackupIn(cluster.repositories, cluster.keys, cluster.name, plan.backupId, { signal });
  const parts = record.tablespaces.flatMap((tablespace) => tablespace.parts);
  const totalBytes = parts.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
  const reader = new PartReader(cluster, record, totalBytes, run, copies);
  for (;;) {
    try {
      await unpackAll(reader, record, plan);
      return record;
    } catch (error) {
      if (!(error instanceof Spoiled)) throw error;
      // Each time another copy of a part is known to be wrong, so this comes to an end.
      run.progress({ phase: 'fetch', note: `begins again: ${error.message}` });
      await emptyFolder(plan.into);
      reader.begin();
    }
  }
}

async function unpackAll(reader: PartReader, record: BackupRecord, plan: Fetched): Promise<void> {
  const tars = record.tablespaces.map(
    ({ name, parts }): Tar => ({
      name,
      feed: async (take) => {
        for (const part of parts) await reader.read(part, take);
      },
    }),
  );
  await unpackTars(plan, tars);
  await writeFile(join(plan.into, 'backup_manifest'), await reader.whole(record.manifest), { mode: 0o600 });
}

/** The tar of the data directory, `pgdata`, or of a tablespace, by its OID. */
export type Tar = { name: string; feed(take: Take): Promise<void> };

/** Unpacks a backup's tars into the plan's folder, the tablespaces into their places in it. */
export async function unpackTars(
  { into, tablespaces }: Pick<RestorePlan, 'into' | 'tablespaces'>,
  tars: readonly Tar[],
): Promise<void> {
  const places = new Map(tablespaces.map(({ oid, to }) => [oid, to]));
  if (places.size > 0) await mkdir(join(into, tablespaceFolder), { mode: 0o700 });
  for (const to of places.values()) await mkdir(to, { mode: 0o700 });
  for (const tar of tars) {
    const root = tar.name === 'pgdata' ? into : (places.get(tar.name) as string);
    await unpackTar(tar, new Unpacker({ root, tablespaces: places, skip: leftOut }));
  }
  for (const [oid, to] of places) await ensureLink(join(into, 'pg_tblspc', oid), to);
}

/** Returns once all that was written to the file system of this folder is durable. */
export async function makeDurable(path: string, signal: AbortSignal): Promise<void> {
  // One syncfs in place of an fsync for each of a hundred thousand files.
  await execa('sync', ['-f', path], { cancelSignal: signal, timeout: 3_600_000 });
}

/** The manifest is an object of its own; pg_basebackup may have put it into the stream too. */
const leftOut = new Set(['backup_manifest']);

async function unpackTar({ feed }: Tar, unpacker: Unpacker): Promise<void> {
  try {
    await feed((chunk, giveBack) => unpacker.write(chunk, giveBack));
    await unpacker.finish();
  } catch (error) {
    await unpacker.abandon();
    throw error;
  }
}

async function ensureLink(path: string, to: string): Promise<void> {
  try {
    await symlink(to, path);
  } catch (error) {
    // The stream had it, and Unpacker lets no link lead elsewhere.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
