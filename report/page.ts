import { formatSeconds } from '../core/format.ts';
import { type DrillResult, drillResult, phasesOutsideRto, type Report } from '../core/report.ts';
import { dumpFields, rowCounts } from './render/drill-dump.ts';

const verdicts = {
  passed: 'PASSED: it can be restored',
  failed: 'FAILED: it cannot be restored as it is',
  inconclusive: 'INCONCLUSIVE: nothing was proven either way',
} as const;
const marks = new Map<boolean | null, string>([
  [true, 'yes'],
  [false, 'NO'],
  [null, 'could not run'],
]);

/** The report of a drill as a page that people can file: Markdown. Null for what is no drill. */
export function drillPage(report: Report): string | null {
  if (report.operation !== 'drill') return null;
  const parsed = drillResult.safeParse(report.result);
  const parts = parsed.success ? [...facts(report, parsed.data), ...details(parsed.data)] : begunOnly(report);
  return `${[`# Restore drill of ${text(report.cluster)}, ${report.startedAt.slice(0, 10)}`, ...parts, signature(report)].filter((part) => part !== '').join('\n\n')}\n`;
}

/** It ended before it could come to anything. */
const begunOnly = (report: Report): string[] => [
  table(['', ''], [...who(report), ['Result', verdicts.inconclusive], ['Why', report.errorMessage ?? 'not known']]),
];

function facts(report: Report, drill: DrillResult): string[] {
  return [
    table(
      ['', ''],
      [
        ...who(report),
        ...restoredFrom(drill),
        ['Restore duration (RTO)', measured(drill.rtoSeconds, drill.objectives?.rtoSeconds)],
        ...(drill.kind === 'dump' ? [] : spans(drill)),
        [
          drill.kind === 'dump' ? 'Age of the dump' : 'Loss (RPO)',
          measured(drill.rpoSeconds, drill.objectives?.rpoSeconds),
        ],
        ['Result', verdicts[drill.verdict]],
        ...(drill.verdictReason === null ? [] : [['Why', drill.verdictReason]]),
      ],
    ),
  ];
}

function who({ host, startedAt, finishedAt, requestedBy, reason }: Report): string[][] {
  return [
    ['Date', `${startedAt} to ${finishedAt}`],
    ['Operator', requestedBy ?? 'a schedule'],
    ...(reason === null ? [] : [['Reason', reason]]),
    ['Host', host],
  ];
}

const captions: Record<string, string> = { dump: 'Dump', of: 'Of', file: 'File', tables: 'Tables restored' };

function restoredFrom(drill: DrillResult): string[][] {
  if (drill.kind === 'dump') return dumpFields(drill).map(([name, value]) => [captions[name] ?? name, value]);
  return [
    ['Base backup', drill.backupId ?? 'none'],
    ['Target', drill.target ?? 'none was chosen'],
    ['Reached', drill.reached ?? 'no'],
  ];
}

/** What the old form asked for: the base backup and the WAL, each with its time. */
function spans({ phases }: DrillResult): string[][] {
  const sum = (names: readonly string[]) =>
    phases.filter(({ name }) => names.includes(name)).reduce((seconds, phase) => seconds + phase.seconds, 0);
  return [
    ['of it: base backup', formatSeconds(sum(['fetch', 'verify', 'configure']))],
    ['of it: WAL replay', formatSeconds(sum(['recover']))],
  ];
}

function details(drill: DrillResult): string[] {
  const { checks, phases, notes } = drill;
  const rows = rowCounts(drill);
  return [
    checks.length === 0
      ? ''
      : `## Checks\n\n${table(
          ['Check', 'Held', 'What was seen'],
          checks.map(({ name, passed, detail }) => [name, marks.get(passed) ?? '', detail]),
        )}`,
    rows.length === 0 ? '' : `## Rows of the largest tables\n\n${table(['Table', 'Rows'], rows)}`,
    `## Time\n\n${table(
      ['Step', 'Seconds', 'Counts as restore'],
      phases.map(({ name, seconds }) => [name, seconds.toFixed(3), phasesOutsideRto.includes(name) ? 'no' : 'yes']),
    )}`,
    notes.length === 0 ? '' : `## Notes\n\n${notes.map((note) => `- ${text(note)}`).join('\n')}`,
  ];
}

/** Where the facts stand that this page was made of, and room for who signs it. */
function signature({ id, workflowId }: Report): string {
  const run = workflowId === null ? '' : `, workflow \`${text(workflowId)}\``;
  return `---\n\nReport \`${id}\`${run}. Reviewed by: ______________________ Date: ______________`;
}

function measured(seconds: number | null, limit: number | null | undefined): string {
  if (seconds === null) return 'not measured';
  const kept = limit == null ? '' : ` (objective ${formatSeconds(limit)}: ${seconds <= limit ? 'kept' : 'BROKEN'})`;
  return `${formatSeconds(seconds)}${kept}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(text).join(' | ')} |`;
  return [line(head), `|${head.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n');
}

/** Names and reasons come from people: nothing of them becomes a cell, a tag or a link of its own. */
const text = (value: string): string =>
  value.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').replace(/[\\|<>`*_[\]]/g, (sign) => `\\${sign}`);
