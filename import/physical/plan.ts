import { createHash } from 'node:crypto';
import { PgproofError } from '../../core/errors.ts';
import { runId } from '../../core/ids.ts';
import { compareLsn, type Lsn } from '../../core/lsn.ts';
import { microsOf } from '../../core/micros.ts';
import type { Run } from '../../core/run.ts';
import { formatTarget, type RecoveryTarget } from '../../core/target.ts';
import { coverageFrom } from '../../restore/archive.ts';
import { assemble } from '../../restore/plan.ts';
import type { RestorePlan } from '../../restore/record.ts';
import { findStop } from '../../restore/stop.ts';
import { stopRule, surveyWal } from '../../restore/survey.ts';
import { unreachable } from '../../restore/unreachable.ts';
import { refuseLongSocket, workFolder } from '../../restore/work.ts';
import type { Coverage } from '../../wal/inventory.ts';
import type { OpenedBase } from './opened.ts';

/**
 * Decides the restore as for a repository's backup, and refuses what can be known to fail. The same question has the same id, so that
 * the same command goes on in the folder that it began.
 * @throws {PgproofError} `target-unreachable` with the nearest targets that work; `target-invalid`, `tablespace-outside`,
 * `wal-unreadable`.
 */
export async function planOld(
  opened: OpenedBase,
  target: RecoveryTarget,
  into: string,
  run: Run,
): Promise<RestorePlan> {
  const { archive, record, base } = opened;
  if (target.type === 'backup') throw alreadyNamed(target);
  await refuseWithin(opened, target, run);
  const stop = await findStop(archive, [record], target, run);
  const planned = assemble(archive, stop, { target, into }, { holds: [], notes: [] }, notesOf(opened));
  const question = [base.folder, record.startLsn, formatTarget(target), target.inclusive, target.timeline, into];
  const random = createHash('sha256').update(JSON.stringify(question)).digest('hex').slice(0, 8);
  const plan = { ...planned, id: runId(new Date(record.startedAt), 'import', random) };
  refuseLongSocket(workFolder(archive.cluster, plan));
  return plan;
}

/**
 * PostgreSQL does not stop before the base backup's own end; and it would take a time before the backup for one right behind it, because
 * what was committed in between is not in its WAL.
 */
async function refuseWithin(opened: OpenedBase, target: RecoveryTarget, run: Run): Promise<void> {
  const { archive, record } = opened;
  const stopLsn = record.stopLsn as Lsn;
  const coverage = coverageFrom(archive, record.startLsn as Lsn);
  const survey = await surveyWal(archive, record, coverage, stopRule(target), stopLsn, run);
  if (survey.stop !== null || (await isBefore(opened, coverage, target, run)))
    throw unreachable(target, `it is before the end of ${record.id}, which is at ${stopLsn}`, { after: 'immediate' });
}

async function isBefore(
  { archive, record }: OpenedBase,
  coverage: Coverage,
  target: RecoveryTarget,
  run: Run,
): Promise<boolean> {
  if (target.type === 'lsn') return compareLsn(target.value as Lsn, record.stopLsn as Lsn) < 0;
  if (target.type !== 'time') return false;
  const at = microsOf(target.value as string);
  if (Date.parse(record.stoppedAt) > 0) return at < microsOf(record.stoppedAt);
  // Where its label does not tell the time for sure, a commit that is in the WAL from its start on must not be later.
  const first = await surveyWal(archive, record, coverage, ({ kind }) => kind === 'end', null, run);
  return (first.stop?.at ?? null) === null || (first.stop?.at as bigint) > at;
}

/** What a person should know before it starts. */
function notesOf({ old, manifest, base }: OpenedBase): string[] {
  const own = [...old.segments.values()].filter((segment) => segment.own).map(({ name }) => name);
  return [
    ...(manifest === null
      ? [
          `${base.name} has no backup_manifest: its archives are read to their ends, and its files are compared with nothing.`,
        ]
      : []),
    ...(own.length === 0 ? [] : [`Not in wal/, and taken from pg_wal.tar: ${own.join(', ')}.`]),
    ...old.damaged.map(({ path, error }) => `Not used: '${path}' (${error.message}).`),
  ];
}

function alreadyNamed(target: RecoveryTarget): PgproofError {
  return new PgproofError(
    'target-invalid',
    `the base backup is named already, and '${formatTarget(target)}' is no target`,
    {
      facts: { target: formatTarget(target) },
      hint: 'Give latest, immediate, a time with its offset or zone, lsn:X/X, xid:N, or name:TEXT.',
    },
  );
}
