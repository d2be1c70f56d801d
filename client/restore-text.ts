import { formatBytes } from '../core/format.ts';
import { shellQuoted } from '../core/shell.ts';
import { formatTarget } from '../core/target.ts';
import { nameToSay } from '../dump/restore/confirm.ts';
import type { AnyDumpPlan, DumpPlan, PlanMode, WholePlan } from '../dump/restore/plan-record.ts';
import type { RestorePlan } from '../restore/record.ts';

/** What will happen, before it does. */
export function renderPlan(plan: RestorePlan): string {
  const { recovery, expected, inventory } = plan;
  const wal = inventory.segments;
  const span = wal.length === 0 ? 'no WAL' : `${wal.length} segments, ${wal[0]?.name} to ${wal.at(-1)?.name}`;
  const facts: [string, string][] = [
    ['plan', plan.id],
    ['asked for', formatTarget(plan.target)],
    [
      'recovery',
      `${recovery.setting} = '${recovery.value}'${recovery.inclusive ? '' : ', exclusive'}, timeline ${recovery.timeline}`,
    ],
    [
      'expected',
      `${expected.lsn === null ? 'the end of the backup' : `stops at ${expected.lsn}`}${expected.lastCommitAt === null ? '' : `, last commit ${expected.lastCommitAt}`}`,
    ],
    ['backup', `${plan.backupId} (PostgreSQL ${plan.major})`],
    ['replays', span],
    ['held', plan.holds[0] === undefined ? 'nowhere' : `by ${plan.holds[0].id}; see pgproof hold list ${plan.cluster}`],
    ['into', `${plan.into}, needs about ${formatBytes(plan.requiredBytes)}`],
  ];
  return [
    ...facts.map(([name, value]) => `${name.padEnd(11)}${value}`),
    ...plan.notes.map((note) => `note       ${note}`),
    '',
    `Start it: pgproof restore start ${plan.cluster} ${plan.id}`,
  ].join('\n');
}

/** What will happen to which database, before it does. */
export function renderDumpPlan(plan: DumpPlan): string {
  const { options } = plan;
  const parts = [...options.tables, ...options.schemas.map((name) => `schema ${name}`)].join(', ');
  return planText(plan, [
    ['database', `${plan.database}: ${modeTexts[plan.mode]}`],
    [
      'what',
      `${contentTexts[options.content]}${parts === '' ? '' : ` of ${parts}`}${options.select === null ? '' : ', as selected'}`,
    ],
    ['how', howText(plan)],
  ]);
}

/** What will happen to which server, before it does. */
export function renderWholePlan(plan: WholePlan): string {
  const makes = plan.makes.length === 0 ? 'no role: all of them are there' : `roles: ${plan.makes.join(', ')}`;
  const others = plan.globals === 'missing' ? 'what exists is left alone' : 'roles that differ are changed';
  return planText(plan, [
    [
      'what',
      plan.of === 'globals'
        ? 'the globals: roles, and what is granted to them'
        : 'the whole server: roles and all databases',
    ],
    ['makes', `${makes}; ${others}`],
    ['how', 'psql, which stops at the first error'],
  ]);
}

function planText(plan: AnyDumpPlan, what: [string, string][]): string {
  const { source } = plan;
  const size = source.plainBytes === null ? '' : `, ${formatBytes(source.plainBytes)}`;
  const of = source.database ?? (plan.kind === 'dump' ? 'a database' : 'a server');
  const from = `${of}${source.version === null ? '' : ` of PostgreSQL ${source.version}`}`;
  const facts: [string, string][] = [
    ['plan', plan.id],
    ['dump', `${source.what} (${source.format}${size})`],
    ['taken', `${from}${source.takenAt === null ? '' : `, ${source.takenAt}`}`],
    ['server', `${plan.server}, PostgreSQL ${plan.serverVersion}${plan.user === null ? '' : `, as role ${plan.user}`}`],
    ...what,
    ['held', plan.holds[0] === undefined ? 'nowhere' : `by ${plan.holds[0].id}; see pgproof hold list ${plan.cluster}`],
  ];
  const confirm = plan.confirmed === null ? ` --confirm ${shellQuoted(nameToSay(plan))}` : '';
  return [
    ...facts.map(([name, value]) => `${name.padEnd(11)}${value}`),
    ...plan.conflicts.map((conflict) => `conflict   ${conflict}`),
    ...plan.notes.map((note) => `note       ${note}`),
    '',
    `Start it: pgproof restore start ${plan.cluster} ${plan.id}${confirm}`,
  ].join('\n');
}

const modeTexts: Record<PlanMode, string> = {
  new: 'is made',
  existing: 'is there, and empty',
  add: 'IS THERE, and what is restored comes to what it holds',
  clean: 'IS THERE, and what the dump has is dropped in it first',
  replace: 'IS THERE, is renamed at the end, and a new one takes its place',
};
const contentTexts = { all: 'definitions and rows', schema: 'definitions', data: 'rows' } as const;

function howText({ source, options }: DumpPlan): string {
  const owner = { dump: 'owners as in the dump', none: 'everything owned by who restores' } as const;
  return [
    source.format === 'plain'
      ? 'psql, which stops at the first error'
      : `pg_restore, ${options.singleTransaction ? 'one job' : `${options.jobs} jobs where the format has them`}`,
    ...(options.singleTransaction ? ['one transaction'] : []),
    typeof options.owner === 'object' ? `everything owned by ${options.owner.role}` : owner[options.owner],
    ...(options.privileges ? [] : ['no grants']),
    ...(options.globals === 'none'
      ? []
      : [`roles that are ${options.globals === 'missing' ? 'missing' : 'missing or differ'}`]),
  ].join(', ');
}
