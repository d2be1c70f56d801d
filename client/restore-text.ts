import { formatBytes } from '../core/format.ts';
import { formatTarget } from '../core/target.ts';
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
