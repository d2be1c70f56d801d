import { suffixOf } from '../codec/sealing.ts';
import { PgproofError } from '../core/errors.ts';
import { PartWriter } from '../parts/writer.ts';
import { sealingFor } from '../repository/keys.ts';
import { formatVersion, manifestKey } from '../repository/layout.ts';
import type { StoredPart } from '../repository/record.ts';
import { manifestChecksums } from './basebackup.ts';
import type { CopiedBase, CopyJob } from './copied.ts';
import type { Manifest, WalRange } from './manifest.ts';
import { missingFromBackup } from './notes.ts';
import type { PendingBackup } from './pending.ts';
import type { Fit } from './preflight.ts';
import { verifyPassed } from './verify.ts';

/**
 * Verifies the copy, stores its manifest, and answers the record that a commit will sign.
 * @param stoppedAt the server's clock when the copy had ended.
 * @throws {PgproofError} `backup-unverified`, `manifest-invalid`, `era-mismatch`; what the store throws.
 */
export async function pendingOf(
  job: CopyJob,
  { era, server }: Fit,
  copied: CopiedBase,
  stoppedAt: string,
  signal: AbortSignal,
): Promise<Omit<PendingBackup, 'copies' | 'dropped'>> {
  const { cluster, id } = job;
  if (copied.manifest === null) throw new PgproofError('backup-unverified', 'pg_basebackup sent no backup_manifest');
  const { manifest, files, bytes } = verifyPassed(copied.manifest, copied.passed, manifestChecksums);
  refuseOtherCluster(era.systemId, manifest, copied.control);
  const range = onlyRange(manifest);
  const sealing = sealingFor(cluster.keys);
  return {
    formatVersion,
    id,
    type: 'full',
    parent: null,
    cluster: cluster.name,
    era: era.era,
    systemId: era.systemId,
    major: server.major,
    serverVersion: server.versionText,
    segmentBytes: server.segmentBytes,
    timeline: range.timeline,
    startLsn: range.startLsn,
    stopLsn: range.endLsn,
    startedAt: server.clock,
    stoppedAt,
    tablespaces: copied.tablespaces,
    manifest: await storeManifest(job, era.era, copied.manifest, signal),
    codec: { compression: 'zstd', cipher: sealing.cipher },
    keyId: cluster.keys.current?.id ?? null,
    platform: server.platform,
    verified: { files, bytes, against: 'backup_manifest', how: 'streaming' },
    notes: [
      ...(server.inRecovery ? [`taken from the standby on ${cluster.host}`] : []),
      ...(await missingFromBackup(server)),
    ],
  };
}

/** The connection may have led elsewhere between two steps; pg_control begins with the system identifier. */
function refuseOtherCluster(systemId: string, manifest: Manifest, control: Buffer | null): void {
  const copied = manifest.systemId ?? control?.readBigUInt64LE(0).toString() ?? 'none';
  const inControl = control?.readBigUInt64LE(0).toString() ?? 'none';
  if (copied === systemId && inControl === systemId) return;
  throw new PgproofError('era-mismatch', `what was copied has system identifier ${inControl}, not ${systemId}`, {
    facts: { systemId, copied: inControl, manifest: manifest.systemId },
  });
}

function onlyRange({ walRanges }: Manifest): WalRange {
  const [range, more] = walRanges;
  if (range !== undefined && more === undefined) return range;
  throw new PgproofError('backup-unverified', 'the timeline changed while the copy was made', {
    facts: { timelines: walRanges.map(({ timeline }) => timeline) },
    hint: 'Take the backup again.',
  });
}

async function storeManifest(job: CopyJob, era: string, bytes: Buffer, signal: AbortSignal): Promise<StoredPart> {
  const base = job.partsOf('pgdata', signal);
  const key = manifestKey(job.cluster.name, era, job.id, suffixOf(base.sealing));
  const writer = new PartWriter({ ...base, keyOf: () => key, maxStoredBytes: Number.POSITIVE_INFINITY });
  await writer.write(bytes);
  const [part] = await writer.finish();
  return part as StoredPart;
}
