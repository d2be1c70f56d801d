import { readManifest, type WalRange } from '../../backup/manifest.ts';
import { cluster as clusterSchema } from '../../core/config/cluster.ts';
import { PgproofError } from '../../core/errors.ts';
import { formatLsn, type Lsn, lsnPosition } from '../../core/lsn.ts';
import type { Run } from '../../core/run.ts';
import type { ClusterPaths, ProtectedCluster } from '../../postgres/cluster.ts';
import { noKeys } from '../../repository/keys.ts';
import { Nearest } from '../../repository/nearest.ts';
import type { BackupRecord, EraRecord } from '../../repository/record.ts';
import type { Repository } from '../../repository/repository.ts';
import { type Archive, coverageFrom, openArchive, walOf } from '../../restore/archive.ts';
import { scanWal } from '../../wal/scan.ts';
import type { Opening } from '../peel.ts';
import { type OldArchive, readArchive } from './archive.ts';
import { archiveOf, type Begin, readBegin } from './begin.ts';
import { type LabelEnd, parseLabelEnd } from './label.ts';
import { findBase, findWal, type OldBase, type OldWal } from './layout.ts';
import { readPlain } from './segments.ts';
import { OldWalStore } from './store.ts';

/** What of this host reading an old folder needs. */
export type Place = {
  paths: ClusterPaths;
  /** Name of this host. */
  host: string;
  /** @defaultValue auto */
  bin?: string;
};

/** A base backup of an old script with its WAL, read as if it were a repository's. */
export type OpenedBase = {
  base: OldBase;
  begin: Begin;
  wal: OldWal;
  old: OldArchive;
  /** PostgreSQL's own; null where there is none. */
  manifest: Buffer | null;
  archive: Archive;
  record: BackupRecord;
};

/** What stands for the cluster in keys and messages: an old folder has no name of its own. */
const clusterName = 'import';

/**
 * Opens a base backup: its beginning, all WAL from its start on, read once, and where it ends.
 * @param timeline to follow; null: the newest.
 * @throws {PgproofError} `backup-missing`; `wal-unreadable` where WAL it cannot do without is missing; what reading files throws.
 */
export async function openBase(
  dir: string,
  name: string,
  { place, opening, timeline = null }: { place: Place; opening: Opening; timeline?: number | null },
  scratch: string,
  run: Run,
): Promise<OpenedBase> {
  const base = await findBase(dir, name);
  const begin = await readBegin(base, opening, run.signal);
  for (const tablespace of begin.tablespaces.keys()) archiveOf(base, tablespace);
  const wal = await findWal(dir);
  const old = await readArchive(base, begin, wal, scratch, opening, run);
  const manifest = base.manifest === null ? null : await readPlain(base.manifest, opening, run.signal);
  const era = eraOf(begin, old);
  const cluster = standIn(place, era, old, opening);
  const ended = await endInLabels(begin, wal, opening, run.signal);
  const copies = new Nearest(cluster.repositories);
  const open = (record: BackupRecord) =>
    openArchive(cluster, copies, { era, current: true }, [record], timeline, run.signal);
  const unended = recordOf(base, begin, era, begin.startLsn, ended?.stoppedAt ?? null);
  const stopLsn = ended?.stopLsn ?? rangeIn(manifest)?.endLsn ?? (await endInWal(await open(unended), begin, run));
  const record = { ...unended, stopLsn };
  return { base, begin, wal, old, manifest, archive: await open(record), record };
}

function eraOf({ timeline, startLsn }: Begin, { major, systemId, segmentBytes }: OldArchive): EraRecord {
  const era = `0001-pg${major}-${systemId}`;
  const declaredAt = new Date(0).toISOString();
  return { formatVersion: 1, era, systemId, major, segmentBytes, timeline, startLsn, keyId: null, declaredAt };
}

function standIn(place: Place, { era }: EraRecord, old: OldArchive, opening: Opening): ProtectedCluster {
  const config = clusterSchema.parse({
    host: place.host,
    connection: { socket: place.paths.fetch, user: 'postgres' },
    repositories: [clusterName],
    tools: { bin: place.bin ?? 'auto' },
  });
  const store = new OldWalStore(clusterName, era, old, opening);
  const at = { name: clusterName, config: { type: 'file', path: place.paths.state }, id: clusterName } as const;
  const repository: Repository = { ...at, location: place.paths.state, store };
  return {
    name: clusterName,
    fleet: clusterName,
    host: place.host,
    config,
    repository,
    repositories: [repository],
    written: [],
    unavailable: [],
    keys: noKeys,
    walKeys: noKeys,
    paths: place.paths,
    sink: null,
  };
}

/** The base as planning sees it. What only a repository has, parts and signatures, is left empty: nothing is read by it. */
function recordOf(base: OldBase, begin: Begin, era: EraRecord, stopLsn: Lsn, stoppedAt: string | null): BackupRecord {
  const part = {
    key: base.folder,
    storedBytes: base.storedBytes,
    plainBytes: base.storedBytes,
    sha256: '0'.repeat(64),
  };
  const places = [...begin.tablespaces].map(([name, path]) => ({ name, path, parts: [{ ...part, plainBytes: 0 }] }));
  const unknown = new Date(0).toISOString();
  return {
    formatVersion: 1,
    id: base.name,
    type: 'full',
    parent: null,
    cluster: clusterName,
    era: era.era,
    systemId: era.systemId,
    major: era.major,
    serverVersion: String(era.major),
    segmentBytes: era.segmentBytes,
    timeline: begin.timeline,
    startLsn: begin.startLsn,
    stopLsn,
    startedAt: begin.startedAt ?? unknown,
    stoppedAt: stoppedAt ?? begin.startedAt ?? unknown,
    tablespaces: [...places, { name: 'pgdata', path: null, parts: [part] }],
    manifest: part,
    codec: { compression: 'zstd', cipher: 'none' },
    keyId: null,
    platform: { libc: null, icu: null, collations: [], preloadLibraries: '', minimums: {} },
    verified: { files: 0, bytes: 0, against: 'backup_manifest', how: 'streaming' },
    signature: null,
  };
}

/** The only one: a base backup during which the timeline changed was never finished by pg_basebackup. */
export function rangeIn(manifest: Buffer | null): WalRange | undefined {
  return manifest === null ? undefined : readManifest(manifest, () => {}).walRanges[0];
}

/** From the `.backup` file that PostgreSQL archives when a copy has ended. */
export async function endInLabels(
  { startLsn }: Begin,
  { labels }: OldWal,
  opening: Opening,
  signal: AbortSignal,
): Promise<LabelEnd | undefined> {
  for (const path of labels.values()) {
    const end = parseLabelEnd((await readPlain(path, opening, signal)).toString('utf8'));
    if (end.startLsn === startLsn) return end;
  }
  return undefined;
}

/** Where PostgreSQL itself would find the end. No record begins between the record that says so and the position answered. */
async function endInWal(archive: Archive, { startLsn }: Begin, run: Run): Promise<Lsn> {
  const coverage = coverageFrom(archive, startLsn);
  for await (const record of scanWal(walOf(archive, coverage), startLsn, run)) {
    if (record.kind === 'backup-end' && record.start === startLsn) return formatLsn(lsnPosition(record.lsn) + 1n);
  }
  throw new PgproofError(
    'wal-unreadable',
    `the WAL from ${startLsn} to ${coverage.endLsn} does not hold the end of the base backup`,
    {
      facts: { startLsn, endLsn: coverage.endLsn, missing: coverage.stop.segment },
      hint: `Segment ${coverage.stop.segment} is missing, in its pg_wal.tar and in wal/. Without it the base backup cannot become consistent.`,
    },
  );
}
