import { formatBytes, formatSeconds } from '../../core/format.ts';
import { type CopyLag, type CopyTarget, copyResult, type Report } from '../../core/report.ts';
import { fields, list, section } from './text.ts';

const outcomes = { complete: 'complete', incomplete: 'NOT COMPLETE', failed: 'FAILED' } as const;

export function renderCopy({ result }: Report): string {
  const parsed = copyResult.safeParse(result);
  if (!parsed.success) return '';
  return parsed.data.targets.map((target) => renderTarget(parsed.data.from, target)).join('\n\n');
}

function renderTarget(from: string, target: CopyTarget): string {
  const { to, outcome, seconds, copied, skipped, backups, dumps, refused, refusedObjects, notes, lag, error } = target;
  const more = refusedObjects - refused.length;
  return [
    fields([
      ['copy', `${from} to ${to}: ${outcomes[outcome]}`],
      ...(error === null ? [] : [['error', `${error.message} [${error.code}]`] as const]),
      ['copied', `${amount(copied)} in ${formatSeconds(seconds)}`],
      ['was there', amount(skipped)],
      ...(backups.length === 0 ? [] : [['backups', backups.join('\n')] as const]),
      ...(dumps.length === 0 ? [] : [['dumps', dumps.join('\n')] as const]),
      ...(lag === null ? [] : [['behind', behind(lag)] as const]),
    ]),
    section(
      `not copied${more > 0 ? ` (and ${more} more)` : ''}`,
      list(refused.map(({ key, message }) => [`${key}: ${message}`])),
    ),
    section('notes', list(notes.map((note) => [note]))),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

const amount = ({ objects, bytes }: { objects: number; bytes: number }): string =>
  `${counted(objects, 'object')}, ${formatBytes(bytes)}`;

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

function behind({ seconds, reason, segments, bytes, backups, dumps, to }: CopyLag): string {
  const where = to === null ? '' : `, holds WAL up to ${to.lsn} on timeline ${to.timeline}`;
  const more = dumps === 0 ? '' : `, ${counted(dumps, 'dump')}`;
  const missing = `${counted(segments, 'segment')} (${formatBytes(bytes)}), ${counted(backups, 'backup')}${more}`;
  if (seconds === 0 && segments === 0 && backups === 0 && dumps === 0) return `nothing${where}`;
  return `${seconds === null ? `unknown time: ${reason}` : formatSeconds(seconds)}; ${missing}${where}`;
}
