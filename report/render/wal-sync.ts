import { formatSeconds } from '../../core/format.ts';
import type { Report } from '../../core/report.ts';
import { type SyncedRepository, type WalSyncResult, walSyncResult } from '../../core/wal-sync.ts';
import { againstObjective, fields, list, section } from './text.ts';

export function renderWalSync({ result }: Report): string {
  const parsed = walSyncResult.safeParse(result);
  if (!parsed.success) return '';
  const { target, switched, repositories, notes } = parsed.data;
  return [
    fields([
      ['WAL', `up to ${target.lsn} on timeline ${target.timeline}, written until ${target.at}`],
      ...(switched === null ? [] : [['switched', `${switched} was ended, so that it is archived now`] as const]),
      ...repositories.flatMap((one) => repositoryLines(one, parsed.data)),
    ]),
    section('notes', list(notes.map((note) => [note]))),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function repositoryLines(
  { repository, required, frontier, reached, behindSeconds: { before, after }, problem }: SyncedRepository,
  { objectives }: WalSyncResult,
): [string, string][] {
  const where = frontier === null ? 'cannot be asked' : `${reached ? 'has it' : 'HAS IT NOT'}, archived to ${frontier}`;
  const lines: [string, string][] = [['in', `${repository}${required ? '' : ' (not required)'}: ${where}`]];
  if (problem !== null) lines.push(['', `${problem.message} [${problem.code}]`]);
  const began = before === null || before === 0 ? '' : `; ${formatSeconds(before)} when the run began`;
  lines.push(['behind', `${againstObjective(after, required ? objectives.rpoSeconds : null)}${began}`]);
  return lines;
}
