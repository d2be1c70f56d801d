import { formatSeconds } from '../../core/format.ts';
import { type DrillResult, drillResult, type Phase, phasesOutsideRto, type Report } from '../../core/report.ts';
import { dumpFields, rowCounts } from './drill-dump.ts';
import { againstObjective, fields, list, section } from './text.ts';

const marks = new Map<boolean | null, string>([
  [true, 'ok'],
  [false, 'FAILED'],
  [null, 'could not run'],
]);

/** What a drill proved, or why it proved nothing. */
export function renderDrill({ result }: Report): string {
  const parsed = drillResult.safeParse(result);
  if (!parsed.success) return '';
  const drill = parsed.data;
  const counted = drill.phases.filter(({ name }) => !phasesOutsideRto.includes(name));
  const others = drill.phases.filter(({ name }) => phasesOutsideRto.includes(name));
  return [
    fields([
      ...(drill.kind === 'dump' ? dumpFields(drill) : pointFields(drill)),
      ['RTO', againstObjective(drill.rtoSeconds, drill.objectives?.rtoSeconds)],
      ['RPO', `${againstObjective(drill.rpoSeconds, drill.objectives?.rpoSeconds)}\n${howRpoWasMeasured(drill)}`],
    ]),
    section('RTO by phase, from the chosen target to the first answered query', phaseList(counted)),
    section(
      drill.kind === 'dump'
        ? 'checks, asked of the restored database'
        : 'checks, asked of the restored server while it stood at the target',
      list(drill.checks.map(({ name, passed, detail }) => [marks.get(passed) ?? '', name, detail])),
    ),
    section('rows of the largest tables', list(rowCounts(drill))),
    section('time that a real restore would not take', phaseList(others)),
    section("PostgreSQL's last words", list(lastWords(drill).map((line) => [line]))),
    section('notes', list(drill.notes.map((note) => [note]))),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function howRpoWasMeasured({ rpoMeasured, rpoReason }: DrillResult): string {
  if (rpoMeasured === null) return rpoReason ?? 'the drill ended before it could be measured';
  const { startedAt, heartbeatSequence, heartbeatAt, frontier } = rpoMeasured;
  return [
    `had the host died at ${startedAt}, before the drill's own WAL switch: the`,
    `repository held WAL up to ${frontier}, and heartbeat ${heartbeatSequence} of ${heartbeatAt} in it`,
  ].join('\n');
}

function lastWords({ error }: DrillResult): string[] {
  const log = error?.facts.log ?? error?.facts.errors;
  return Array.isArray(log) ? log.map(String) : [];
}

function pointFields(drill: DrillResult): [string, string][] {
  return [
    ['backup', drill.backupId ?? 'none'],
    ['target', drill.target ?? 'none was chosen'],
    ['reached', drill.reached ?? 'no'],
    ['missed by', missedBy(drill)],
  ];
}

function missedBy({ targetErrorSeconds }: DrillResult): string {
  if (targetErrorSeconds === null) return 'not measured: there is no heartbeat in the restored server';
  return `${formatSeconds(targetErrorSeconds)} at most: the restore point's own time minus the newest heartbeat restored`;
}

function phaseList(phases: readonly Phase[]): string {
  return list(phases.map(({ name, seconds }) => [name, formatSeconds(seconds)]));
}
