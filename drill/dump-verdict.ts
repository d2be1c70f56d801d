import type { DrillResult } from '../core/report.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { dumpParts } from '../repository/dumps.ts';
import { dumpKey } from '../repository/layout.ts';
import { fallbackNotes } from '../restore/fallbacks.ts';
import type { Attempt } from './attempt.ts';
import { unasked } from './checks.ts';
import type { ChosenDump } from './dump-choice.ts';
import { questionsOf, type RestoredDump } from './dump-restore.ts';
import { verdictOf } from './verdict.ts';

/** Beside the checks of the configuration. */
const ownChecks = ['catalogue', 'restored'];

type Drilled = ChosenDump & { startedAt: Date; notes: readonly string[] };

/** @param restored null where it ended early. */
export function concludeDump(
  cluster: ProtectedCluster,
  { record, repository, startedAt, notes }: Drilled,
  { phases, found, copies }: Attempt,
  restored: RestoredDump | null,
): DrillResult {
  const { config } = cluster;
  const wanted = questionsOf(record, config.drills.checks).map(({ name }) => name);
  const checks = [...found.checks, ...unasked(found.checks, [...ownChecks, ...wanted], 'the drill ended before it')];
  const location = cluster.repositories.find(({ name }) => name === repository)?.location;
  const asked = record.database === null ? '' : ` of database '${record.database}'`;
  const noQuestions = `No question is asked${asked}: drills.checks of the configuration names none.`;
  const hasTables = record.kind !== 'globals';
  return {
    ...verdictOf(checks, found.error),
    error: found.error?.toDocument() ?? null,
    kind: 'dump',
    backupId: null,
    dump: {
      id: record.id,
      database: record.database,
      tier: record.tier,
      storedBytes: dumpParts(record).reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      takenAt: record.startedAt,
      file: record.importedFrom ?? `${location}/${dumpKey(cluster.name, record.id)}`,
    },
    restored: restored === null || !hasTables ? null : { tables: restored.tables, largest: restored.largest },
    target: record.database,
    reached: null,
    reachedWal: null,
    phases: phases.list,
    rtoSeconds: found.rtoSeconds ?? null,
    rpoSeconds: round(Math.max(0, (startedAt.getTime() - Date.parse(record.startedAt)) / 1000)),
    rpoReason: `the age of the dump when the drill began: its snapshot is of ${record.startedAt}`,
    targetErrorSeconds: null,
    checks,
    rpoMeasured: null,
    objectives: { rpoSeconds: config.objectives.dump ?? null, rtoSeconds: config.objectives.rto ?? null },
    notes: [
      ...notes,
      ...(wanted.length === 0 && hasTables ? [noQuestions] : []),
      ...(restored === null ? [] : [...restored.conflicts, ...restored.notes]),
      ...fallbackNotes(copies),
    ],
    fallbacks: [...copies.fallbacks],
  };
}

const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;
