import { hasCode, PgproofError } from '../core/errors.ts';
import { slowClock } from '../core/hold.ts';
import { compareLsn, type Lsn } from '../core/lsn.ts';
import { microsOf } from '../core/micros.ts';
import type { Run } from '../core/run.ts';
import type { RecoveryTarget } from '../core/target.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type BackupEntry, chooseBackup } from '../repository/catalogue.ts';
import { assertKeyFits } from '../repository/key-fit.ts';
import { assertReads, sealingOf } from '../repository/keys.ts';
import { listBackupsIn, listErasIn, type MergedEntry, type Unasked } from '../repository/merged.ts';
import type { Nearest } from '../repository/nearest.ts';
import type { BackupRecord } from '../repository/record.ts';
import { type Archive, openArchive } from './archive.ts';
import { endOf, unreachable } from './unreachable.ts';

export type Selection = {
  archive: Archive;
  /** Backups that may serve, the newest first. */
  candidates: BackupRecord[];
  notes: string[];
};

/**
 * The era, the path of timelines, and the backups that end before the target. A missing key is named here, before anything
 * is downloaded.
 * @param wanted id of a backup, or the beginning of one; otherwise the newest that ends before the target.
 * @throws {PgproofError} `target-unreachable` with the nearest targets; `backup-missing`, `backup-ambiguous`, `key-missing`, `key-wrong`,
 * `key-write-only`, `era-undeclared`, `tool-missing`.
 */
export async function selectBackups(
  cluster: ProtectedCluster,
  copies: Nearest,
  target: RecoveryTarget,
  wanted: string | null,
  run: Run,
): Promise<Selection> {
  const { repositories, keys, name } = cluster;
  const { signal } = run;
  assertReads(cluster);
  const keyed = await Promise.allSettled(
    repositories.map((repository) => assertKeyFits(repository, cluster, name, { signal })),
  );
  for (const outcome of keyed)
    if (outcome.status === 'rejected' && hasCode(outcome.reason, 'key-wrong', 'key-missing')) throw outcome.reason;
  const { entries, unasked } = await listBackupsIn(repositories, keys, name, { signal });
  const whole = entries.flatMap((entry) => (entry.state === 'whole' ? [entry.record] : []));
  const notes = [...awayNotes(cluster, unasked), ...entries.flatMap(damageNotes), ...clockNotes(whole.at(-1))];
  const one = target.type === 'backup' ? target.value : wanted;
  const chosen = one === null ? null : chooseBackup(entries, name, one);
  if (chosen === null) refuseLackingKey(entries, target);
  const archive = await archiveFor(cluster, copies, target, chosen, whole, signal);
  const candidates = chosen === null ? candidatesFor(target, archive.backups) : [chosen];
  refuseTooEarly(archive, target, chosen, candidates);
  for (const backup of candidates) sealingOf(backup, keys);
  return { archive, candidates, notes };
}

/** What the plan could not look at: what lies only there is not in it. */
function awayNotes({ unavailable }: ProtectedCluster, unasked: readonly Unasked[]): string[] {
  const away = [...unavailable.map(({ name, error }) => ({ repository: name, error })), ...unasked];
  return away.map(({ repository, error }) => `Repository '${repository}' was not asked: ${error.message}.`);
}

/** No reason not to restore. */
function clockNotes(newest: BackupRecord | undefined): string[] {
  const slow = slowClock(newest, new Date());
  return slow === null ? [] : [`What is held for this ends too early, and \`expire\` may delete it: ${slow}.`];
}

function damageNotes(entry: MergedEntry): string[] {
  if (entry.state === 'damaged') return [`Backup ${entry.id} is not used: ${entry.error.message}.`];
  return entry.damagedIn.map(
    ({ repository, error }) => `Backup ${entry.id} is damaged in repository '${repository}': ${error.message}.`,
  );
}

/**
 * A backup before the target that is signed with a key set which is not here means that the WAL since then may be sealed with
 * it: recovery from an older backup would stop there, hours later.
 */
function refuseLackingKey(entries: readonly BackupEntry[], target: RecoveryTarget): void {
  for (const entry of entries) {
    if (entry.state !== 'damaged' || !hasCode(entry.error, 'key-missing') || !beganBefore(entry.id, target)) continue;
    throw new PgproofError('key-missing', `backup ${entry.id}: ${entry.error.message}`, {
      facts: { ...entry.error.facts, backup: entry.id },
      hint: `${entry.error.hint} To restore without that key, name an older backup: --backup.`,
      cause: entry.error,
    });
  }
}

/** By the time in its id, which is all that is known of a backup whose record is not believed. */
function beganBefore(id: string, target: RecoveryTarget): boolean {
  const at = id.slice(0, 16).replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z');
  return target.type !== 'time' || microsOf(at) <= microsOf(target.value as string);
}

/** Backups that end at or before the target; the newest first. A transaction or a restore point may be behind any of them. */
function candidatesFor(target: RecoveryTarget, backups: readonly BackupRecord[]): BackupRecord[] {
  return backups.filter((backup) => endsBefore(backup, target)).reverse();
}

/** PostgreSQL cannot stop before a backup's own end: until then the files do not fit together. */
function endsBefore(backup: BackupRecord, target: RecoveryTarget): boolean {
  if (target.type === 'time') return microsOf(backup.stoppedAt) <= microsOf(target.value as string);
  if (target.type === 'lsn') return compareLsn(backup.stopLsn as Lsn, target.value as Lsn) <= 0;
  return true;
}

/** A time may lie in an earlier era; every other kind of target is of the current one, unless a backup was named. */
async function archiveFor(
  cluster: ProtectedCluster,
  copies: Nearest,
  target: RecoveryTarget,
  chosen: BackupRecord | null,
  whole: readonly BackupRecord[],
  signal: AbortSignal,
): Promise<Archive> {
  const { eras } = await listErasIn(cluster.repositories, cluster.name, { signal });
  const newest = eras.at(-1);
  if (newest === undefined) {
    throw new PgproofError(
      'era-undeclared',
      `cluster ${cluster.name} has no era in the repository, so there is nothing to restore`,
      {
        facts: { cluster: cluster.name, repository: cluster.repository.location },
        hint: 'Check the name of the cluster and the repository in the configuration.',
      },
    );
  }
  const fitting = eras.filter(({ era }) =>
    chosen === null
      ? target.type !== 'time' || whole.some((backup) => backup.era === era && endsBefore(backup, target))
      : era === chosen.era,
  );
  const era = chosen === null && target.type !== 'time' ? newest : (fitting.at(-1) ?? newest);
  return openArchive(cluster, copies, { era, current: era === newest }, whole, target.timeline, signal);
}

function refuseTooEarly(
  archive: Archive,
  target: RecoveryTarget,
  chosen: BackupRecord | null,
  candidates: readonly BackupRecord[],
): void {
  const earliest = endOf(archive.backups[0], target);
  if (chosen !== null && !archive.backups.some(({ id }) => id === chosen.id)) {
    throw unreachable(
      target,
      `backup ${chosen.id} is of timeline ${chosen.timeline}, which does not lead to timeline ${archive.timeline}`,
      { after: earliest },
    );
  }
  if (chosen !== null && !endsBefore(chosen, target)) {
    throw unreachable(target, `it is before the end of backup ${chosen.id}`, { after: endOf(chosen, target) });
  }
  if (archive.backups.length === 0) {
    throw unreachable(
      target,
      `there is no whole backup in era ${archive.era.era} on the way to timeline ${archive.timeline}`,
      {},
    );
  }
  if (candidates.length === 0)
    throw unreachable(target, 'it is before the end of the first backup', { after: earliest });
}
