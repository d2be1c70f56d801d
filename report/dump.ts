import type { DumpSubject } from '../core/dump-run.ts';
import type { DumpResult, Report } from '../core/report.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { dumpKey, dumpPartPrefix } from '../repository/layout.ts';
import type { DumpRecord, StoredStream } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import type { Outcome, ReportOrder, StartedReport } from './report.ts';

/** What was written of a dump beside the repository, as ordinary files of this host. */
export type Exported = {
  /** The dump: a file, or the folder of a dump in the directory format. */
  file: string;
  globalsFile: string | null;
  /** These, and the check sums. */
  files: readonly string[];
  /** Of `file`; of a folder, of the tar that the repository has it in. */
  checksumSha256: string;
  sizeBytes: number;
};

/** What the report of a dump says before it is made, and so when it fails. */
export function dumpOrder(
  { config, written }: Pick<ProtectedCluster, 'config' | 'written'>,
  { kind, database }: DumpSubject,
): Pick<ReportOrder, 'tool' | 'mode' | 'database'> {
  const tool = kind === 'database' ? 'pg_dump' : 'pg_dumpall';
  const mode = modeOf(written, config.dumps.export !== undefined);
  return { tool, mode, ...(database === null ? {} : { database }) };
}

/**
 * What a committed dump has to tell.
 * @param places where it is, and where it is not.
 * @param found findings and notes of the run, beside the record's own.
 */
export function dumpOutcome(
  cluster: Pick<ProtectedCluster, 'repositories'>,
  record: DumpRecord,
  { startedAt }: Pick<StartedReport, 'startedAt'>,
  places: Pick<DumpResult, 'repositories' | 'dropped'>,
  exported: Exported | null,
  found: Pick<DumpResult, 'findings' | 'notes'> = { findings: [], notes: [] },
): Outcome {
  const result: DumpResult = {
    id: record.id,
    kind: record.kind,
    database: record.database,
    tier: record.tier,
    format: record.format,
    compression: record.compression ?? 'unknown',
    sizeBytes: record.dump.plainBytes,
    storedBytes: storedBytes(record.dump) + (record.globals === null ? 0 : storedBytes(record.globals)),
    globalsBytes: record.globals?.plainBytes ?? null,
    sha256: record.dump.sha256,
    entries: record.entries?.total ?? null,
    durationSeconds: Math.max(0, Date.now() - Date.parse(startedAt)) / 1000,
    startedAt: record.startedAt,
    cipher: record.codec.cipher,
    serverVersion: record.server.version,
    toolVersion: record.toolVersion,
    ...places,
    exported: [...(exported?.files ?? [])],
    findings: [...record.findings, ...found.findings],
    notes: [...record.notes, ...found.notes],
  };
  const went = cluster.repositories.filter(({ name }) => places.repositories.includes(name));
  return {
    status: 'SUCCESS',
    result,
    mode: modeOf(went, exported !== null),
    keys: [dumpKey(record.cluster, record.id)],
    repositories: went.filter(({ config }) => config.type !== 'file').map(({ name }) => name),
    local: exported === null ? inRepository(record, went, result) : inFiles(exported),
  };
}

/** `local`, `oss` or `s3`; `both`, where it is in more than one of them. */
function modeOf(repositories: readonly Pick<Repository, 'config'>[], exported: boolean): string {
  const kinds = new Set(repositories.map(({ config }) => (config.type === 'file' ? 'local' : config.type)));
  if (exported) kinds.add('local');
  return kinds.size > 1 ? 'both' : ([...kinds][0] ?? 'local');
}

function inFiles({ file, globalsFile, checksumSha256, sizeBytes }: Exported): Report['local'] {
  return { file, globalsFile, checksumSha256, sizeBytes };
}

/** The folder of its parts, in the first repository that is one of files. The check sum is of the dump, before it was sealed. */
function inRepository(
  record: DumpRecord,
  repositories: readonly Repository[],
  { storedBytes: sizeBytes }: DumpResult,
): Report['local'] {
  const checksumSha256 = record.dump.sha256;
  const folder = repositories.find(({ config }) => config.type === 'file')?.location;
  if (folder === undefined) return { file: null, globalsFile: null, checksumSha256, sizeBytes };
  const [globals] = record.globals?.parts ?? [];
  return {
    file: `${folder}/${dumpPartPrefix(record.cluster, record.id)}`.replace(/\/$/, ''),
    globalsFile: globals === undefined ? null : `${folder}/${globals.key}`,
    checksumSha256,
    sizeBytes,
  };
}

const storedBytes = ({ parts }: StoredStream): number => parts.reduce((bytes, part) => bytes + part.storedBytes, 0);
