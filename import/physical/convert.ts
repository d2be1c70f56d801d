import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noteBegun } from '../../backup/begun.ts';
import { commit } from '../../backup/commit.ts';
import type { WalRange } from '../../backup/manifest.ts';
import { type PendingBackup, savePending } from '../../backup/pending.ts';
import { suffixOf } from '../../codec/sealing.ts';
import { PgproofError } from '../../core/errors.ts';
import { crossesAny } from '../../core/hold.ts';
import { runId } from '../../core/ids.ts';
import { parseLsn } from '../../core/lsn.ts';
import type { Run } from '../../core/run.ts';
import { segmentsBetween } from '../../core/segment.ts';
import { teeStore } from '../../parts/tee.ts';
import { type PartJob, PartWriter } from '../../parts/writer.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { readControlData } from '../../postgres/control.ts';
import { findTools } from '../../postgres/tools.ts';
import { sealingFor } from '../../repository/keys.ts';
import { formatVersion, manifestKey, partKey } from '../../repository/layout.ts';
import type { BackupRecord, EraRecord } from '../../repository/record.ts';
import type { Begin } from './begin.ts';
import { readWhole } from './checked.ts';
import type { OldBase } from './layout.ts';
import { endInLabels } from './opened.ts';
import { makeManifest } from './own-manifest.ts';
import { withScratch } from './restore.ts';
import { unpackOwnWal } from './segments.ts';
import { takeSegment } from './take-wal.ts';
import type { Taking } from './taking.ts';

/** What is known of it before it is read: where it begins and what WAL it needs; `manifest` null where it has none. */
export type Known = { begin: Begin; range: WalRange; manifest: Buffer | null };

const unproven =
  'it had no backup_manifest: its files were held against nothing, and the manifest that it has now was made when it was taken over; only a drill or a restore tells whether they are right';

/**
 * Makes a backup of an old base backup: stored and held against its manifest in one pass, committed like any other. WAL first: a
 * backup is never there before what it needs.
 * @throws {PgproofError} `backup-unverified`, `tar-invalid`, `object-damaged`, `era-mismatch`, `segment-not-archived`, `backup-deleted` where
 * its WAL expired already.
 */
export async function convert(
  taking: Taking,
  base: OldBase,
  { begin, range, manifest }: Known,
  run: Run,
): Promise<BackupRecord> {
  const { cluster, copies, gate, order } = taking;
  const id = runId(new Date(), 'full', randomBytes(4).toString('hex'));
  const needed = { timeline: range.timeline, from: range.startLsn, to: range.endLsn };
  if (gate.cuts.some(({ ranges }) => crossesAny(needed, ranges))) throw expired(base);
  await noteBegun(cluster, id);
  return withScratch(order.place, async (scratch) => {
    await takeOwnWal(taking, base, begin, needed.to, scratch, run);
    const sealing = sealingFor(cluster.keys);
    const job = { store: teeStore(copies), sealing, signal: run.signal };
    const tablespaces: BackupRecord['tablespaces'] = [];
    const read = await readWhole(base, manifest, order.opening, run, async (name, chunks) => {
      const keyOf = (part: number) => partKey(cluster.name, gate.era.era, id, name, part, suffixOf(sealing));
      const parts = await storeStream({ ...job, keyOf }, chunks);
      tablespaces.push({ name, path: name === 'pgdata' ? null : placeOf(begin, name), parts });
    });
    const key = manifestKey(cluster.name, gate.era.era, id, suffixOf(sealing));
    const ofManifest = { ...job, keyOf: () => key, maxStoredBytes: Number.POSITIVE_INFINITY };
    const [stored] = await storeStream(ofManifest, [manifest ?? makeManifest(read.passed, range, gate.era)]);
    const held = manifest === null ? { files: 0, bytes: 0 } : { files: read.files, bytes: read.bytes };
    const pending: PendingBackup = {
      ...(await factsOf(taking, begin, read.control, scratch, run)),
      id,
      timeline: range.timeline,
      startLsn: range.startLsn,
      stopLsn: range.endLsn,
      tablespaces,
      manifest: stored as BackupRecord['manifest'],
      codec: { compression: 'zstd', cipher: sealing.cipher },
      verified: { ...held, against: 'backup_manifest', how: 'streaming' },
      notes: [`taken over from ${base.name}, which an older script made`, ...(manifest === null ? [unproven] : [])],
      copies: copies.live.map(({ name }) => name),
      dropped: [...copies.dropped],
    };
    await savePending(cluster, pending);
    return commit(cluster, id, run);
  });
}

/** What of its record comes from the era, its label and pg_control. */
async function factsOf(
  { cluster, gate, wal, order }: Taking,
  begin: Begin,
  control: Buffer | null,
  scratch: string,
  run: Run,
) {
  const { era, systemId, major, segmentBytes } = gate.era;
  const { writtenAt, minimums } = await controlOf(cluster, gate.era, control, scratch, run);
  const ended = await endInLabels(begin, wal, order.opening, run.signal);
  return {
    formatVersion,
    type: 'full' as const,
    parent: null,
    cluster: cluster.name,
    era,
    systemId,
    major,
    serverVersion: String(major),
    segmentBytes,
    startedAt: begin.startedAt ?? writtenAt,
    stoppedAt: ended?.stoppedAt ?? writtenAt,
    keyId: cluster.keys.current?.id ?? null,
    platform: { libc: null, icu: null, collations: [], preloadLibraries: '', minimums },
  } satisfies Partial<PendingBackup>;
}

/**
 * Segments that only the base backup itself brought: without them it would not become consistent.
 * @throws {PgproofError} `segment-not-archived` for one that is nowhere: then nothing of the base is stored.
 */
async function takeOwnWal(
  taking: Taking,
  base: OldBase,
  begin: Begin,
  stopLsn: string,
  scratch: string,
  run: Run,
): Promise<void> {
  const { cluster, copies, gate, wal, order } = taking;
  const own = await unpackOwnWal(base, wal, join(scratch, 'pg_wal'), order.opening, run.signal);
  const needed = segmentsBetween(begin.startLsn, parseLsn(stopLsn), begin.timeline, gate.era.segmentBytes);
  for (const name of needed) {
    const path = own.paths.get(name);
    if (gate.listing.has(name)) continue;
    if (path === undefined) throw nowhere(base, name);
    await takeSegment(cluster, copies, gate, name, path, order.opening, run);
  }
}

/** Where a tablespace lay. */
function placeOf({ tablespaces }: Begin, oid: string): string {
  const place = tablespaces.get(oid);
  if (place !== undefined) return place;
  throw new PgproofError('manifest-invalid', `there is a ${oid}.tar, and the base backup knows no tablespace ${oid}`);
}

async function storeStream(job: PartJob, chunks: AsyncIterable<Buffer> | Iterable<Buffer>) {
  const writer = new PartWriter(job);
  try {
    for await (const chunk of chunks) await writer.write(chunk);
    return await writer.finish();
  } catch (error) {
    await writer.abandon(error as Error);
    throw error;
  }
}

/**
 * What pg_control says, which is copied last. Its own time is never later than the backup's end, and recovery to a time before that
 * end is refused by the WAL itself.
 * @throws {PgproofError} `era-mismatch` for another system's.
 */
async function controlOf(
  { config }: ProtectedCluster,
  { major, systemId }: EraRecord,
  control: Buffer | null,
  scratch: string,
  run: Run,
): Promise<{ writtenAt: string; minimums: Record<string, number> }> {
  if (control === null) throw new PgproofError('backup-unverified', 'the base backup has no global/pg_control');
  const found = control.readBigUInt64LE(0).toString();
  if (found !== systemId)
    throw new PgproofError('era-mismatch', `the base backup is of system ${found}, and the era is of ${systemId}`, {
      facts: { systemId, found },
    });
  const folder = join(scratch, 'control', 'global');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'pg_control'), control, { mode: 0o600 });
  const tools = await findTools(config.tools.bin, major);
  const { minimums } = await readControlData(tools, join(scratch, 'control'), { signal: run.signal });
  // ControlFileData: system identifier, two versions and the state, then a pg_time_t (src/include/catalog/pg_control.h).
  return { writtenAt: new Date(Number(control.readBigInt64LE(24)) * 1000).toISOString(), minimums };
}

const expired = (base: OldBase): PgproofError =>
  new PgproofError('backup-deleted', `the WAL that ${base.name} needs expired in the repository`, {
    facts: { base: base.name },
    hint: 'It can be restored from its folder: pgproof import restore.',
  });

const nowhere = ({ name: base }: OldBase, segment: string): PgproofError =>
  new PgproofError(
    'segment-not-archived',
    `segment ${segment}, which ${base} needs, is neither in wal/ nor in its pg_wal.tar`,
    {
      facts: { base, segment },
      hint: 'Without it the base backup cannot become consistent.',
    },
  );
