import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DumpOptions } from '../../core/dump.ts';
import { decideDump } from '../../core/dump.ts';
import type { DumpTarget } from '../../dump/dump.ts';
import { DirectoryUnpacker } from '../../dump/restore/directory.ts';
import { readStream } from '../../parts/stream.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { listDumps } from '../../repository/dumps.ts';
import { dumpPrefix } from '../../repository/layout.ts';
import type { DumpRecord, StoredStream } from '../../repository/record.ts';
import { quietRun } from '../support/run.ts';

export const run = promisify(execFile);

/** A target with these options; the rest as by default, but without globals. */
export const targetOf = (database: string, options: DumpOptions = {}): DumpTarget => ({
  kind: 'database',
  database,
  tier: 'manual',
  options: decideDump(options, { globals: false }),
});

/** The dump as its tool wrote it: a file, or the folder of a directory. */
export async function fetchDump(cluster: ProtectedCluster, record: DumpRecord, folder: string): Promise<string> {
  const path = join(folder, record.id);
  if (record.format === 'directory') await unpackDirectory(cluster, record, path);
  else await fetchStream(cluster, record, record.dump, path);
  return path;
}

export async function fetchStream(
  cluster: ProtectedCluster,
  record: DumpRecord,
  stream: StoredStream,
  path: string,
): Promise<void> {
  const file = createWriteStream(path);
  await readStream(cluster, record, stream, quietRun(), async (chunk) => {
    await new Promise((resolve) => file.write(chunk, resolve));
  });
  await new Promise<void>((resolve) => file.end(() => resolve()));
}

async function unpackDirectory(cluster: ProtectedCluster, record: DumpRecord, folder: string): Promise<void> {
  const unpacker = await DirectoryUnpacker.into(folder);
  await readStream(cluster, record, record.dump, quietRun(), (chunk) => unpacker.take(chunk));
  unpacker.finish();
}

/** The dumps that are listed, each of which must be whole. */
export async function listed(cluster: ProtectedCluster): Promise<string[]> {
  const entries = await listDumps(cluster.repository, cluster.keys, cluster.name);
  return entries.map(({ id, state }) => (state === 'whole' ? id : `${id} is ${state}`));
}

/** Keys of all parts of dumps in the repository. */
export async function partKeys({ repository, name }: ProtectedCluster): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of repository.store.list(dumpPrefix(name)))
    if (key.slice(dumpPrefix(name).length).includes('/')) keys.push(key);
  return keys;
}
