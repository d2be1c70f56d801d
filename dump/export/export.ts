import { join } from 'node:path';
import type { ClusterConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import { readStream } from '../../parts/stream.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import type { Exported } from '../../report/dump.ts';
import { sealingFor } from '../../repository/keys.ts';
import type { DumpRecord, StoredStream } from '../../repository/record.ts';
import { makeRootFolder } from '../../storage/file/durable.ts';
import { reapTemps } from '../../storage/file/temps.ts';
import type { DumpTarget } from '../target.ts';
import { writeDirectory } from './directory.ts';
import { gzipped } from './gzipped.ts';
import { fileNames, tierName } from './names.ts';
import { type Reading, writeNew } from './write.ts';

export type ExportConfig = NonNullable<ClusterConfig['dumps']['export']>;

/** @param alone it is a dump of the only database that is dumped: by tier, files then do without its name. */
export type ExportOrder = ExportConfig & { alone: boolean };

/**
 * Writes a dump of the repository as ordinary files that PostgreSQL's own tools restore. A file has its name once all of it is proven by
 * what the record says and durable; none is written over another.
 * @throws {PgproofError} `file-unwritable`, `no-space`, `usage` for what the layout cannot hold; what reading the repository throws.
 */
export async function exportDump(
  cluster: ProtectedCluster,
  record: DumpRecord,
  { folder, layout, alone }: ExportOrder,
  run: Run,
): Promise<Exported> {
  checkLayout(layout, record);
  await makeRootFolder(folder);
  await reapTemps(folder);
  const write = layout === 'tiers' ? writeByTier : writeFiles;
  return write({ cluster, record, folder, alone, run });
}

/** @throws {PgproofError} `usage`: what is asked for does not go with how the configuration wants dumps to be written out. */
export function checkExport(
  { dumps }: Pick<ClusterConfig, 'dumps'>,
  targets: readonly Pick<DumpTarget, 'kind' | 'options'>[],
): void {
  const { layout = 'files' } = dumps.export ?? {};
  for (const { kind, options } of targets) checkLayout(layout, { kind, format: options.format }, 'configured');
}

/** Whether the configuration dumps this database and no other. */
export function isAlone({ dumps }: Pick<ClusterConfig, 'dumps'>, { database }: Pick<DumpRecord, 'database'>): boolean {
  return dumps.databases !== 'all' && dumps.databases.length === 1 && dumps.databases[0] === database;
}

function checkLayout(
  layout: ExportConfig['layout'],
  { kind, format }: Pick<DumpRecord, 'kind' | 'format'>,
  from: 'asked' | 'configured' = 'asked',
): void {
  if (layout === 'files' || kind !== 'database' || format === 'plain') return;
  const where = from === 'asked' ? '' : 'the configuration writes out every dump (dumps.export), and its ';
  throw new PgproofError('usage', `${where}layout 'tiers' holds plain SQL, and the dump is of format '${format}'`, {
    facts: { layout, format },
    hint:
      from === 'asked'
        ? "Dump with format 'plain', or write it out with layout 'files'."
        : "Dump with format 'plain', or change dumps.export of the cluster to layout 'files'.",
  });
}

type Job = { cluster: ProtectedCluster; record: DumpRecord; folder: string; alone: boolean; run: Run };

async function writeFiles(job: Job): Promise<Exported> {
  const { record, folder, run } = job;
  const { dump, checksum, globals } = fileNames(record);
  const at = (name: string) => join(folder, name);
  if (record.globals !== null) await writeNew(folder, globals, reading(job, record.globals), run);
  const isFolder = record.format === 'directory' && record.kind === 'database';
  const written = await (isFolder ? writeDirectory : writeFile)(folder, dump, reading(job, record.dump), run);
  // Last: where it stands, all of it is there.
  await writeNew(folder, checksum, (take) => take(Buffer.from(written.checksums)), run);
  const globalsFile = record.globals === null ? null : at(globals);
  const files = [at(dump), at(checksum), ...(globalsFile === null ? [] : [globalsFile])];
  const checksumSha256 = record.dump.sha256;
  return { file: at(dump), globalsFile, files, checksumSha256, sizeBytes: written.bytes };
}

async function writeFile(folder: string, name: string, from: Reading, run: Run) {
  const { bytes, sha256 } = await writeNew(folder, name, from, run);
  return { bytes, checksums: `${sha256}  ${name}\n` };
}

async function writeByTier(job: Job): Promise<Exported> {
  const { cluster, record, folder, alone, run } = job;
  const { suffix, through } = gzipped(sealingFor(cluster.keys));
  const name = `${tierName(record, alone)}${suffix}`;
  const { bytes: sizeBytes, sha256: checksumSha256 } = await writeNew(
    folder,
    name,
    reading(job, record.dump),
    run,
    through,
  );
  const file = join(folder, name);
  return { file, globalsFile: null, files: [file], checksumSha256, sizeBytes };
}

const reading =
  ({ cluster, record, run }: Job, stream: StoredStream): Reading =>
  (take, again) =>
    readStream(cluster, record, stream, run, take, { again });
