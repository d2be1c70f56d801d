import { type ExpiredRepository, type ExpiredWal, expireResult } from '../../core/expired.ts';
import { formatBytes } from '../../core/format.ts';
import type { Report } from '../../core/report.ts';
import { fields, list, section } from './text.ts';

export function renderExpire({ result }: Report): string {
  const parsed = expireResult.safeParse(result);
  return parsed.success ? parsed.data.repositories.map(renderExpired).join('\n\n') : '';
}

/** One repository: each backup with the rule that keeps or deletes it, and the WAL that follows. */
export function renderExpired(one: ExpiredRepository): string {
  const { repository, outcome, kept, keptBackups, deleted, deletedBackups, wal, refusals, notes, endedHolds, error } =
    one;
  const isPlan = outcome === 'planned' || outcome === 'refused';
  return [
    fields([
      ['expire', `${repository}: ${outcomes[outcome]}`],
      ...(error === null ? [] : [['error', `${error.message} [${error.code}]`] as const]),
      ...refusals.map((refusal) => [isPlan ? 'REFUSED' : 'confirmed', refusal] as const),
      ...(error === null
        ? [
            [
              'backups',
              `${deletedBackups} ${isPlan ? 'would go' : 'deleted'}, ${keptBackups} ${isPlan ? 'would stay' : 'kept'}`,
            ] as const,
          ]
        : []),
      ...wal.map((each) => ['WAL', walLine(each, isPlan)] as const),
      ...(endedHolds === 0
        ? []
        : [['holds', `${endedHolds} had ended, and ${endedHolds === 1 ? 'is' : 'are'} gone`] as const]),
    ]),
    section(
      `${isPlan ? 'would go' : 'deleted'}${more(deletedBackups, deleted.length)}`,
      list(
        deleted.map(({ id, why, outcome: became, detail }) => [
          id,
          became === 'deleted' || became === 'planned' ? why : `${became}: ${detail}`,
        ]),
      ),
    ),
    section(
      `${isPlan ? 'would stay' : 'kept'}${more(keptBackups, kept.length)}`,
      list(kept.map(({ id, reasons }) => [id, reasons.map(({ rule, because }) => `${rule}: ${because}`).join('; ')])),
    ),
    section('notes', list(notes.map((note) => [note]))),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

const outcomes = {
  planned: 'nothing was touched',
  done: 'done',
  refused: 'nothing was deleted',
  failed: 'failed',
} as const satisfies Record<ExpiredRepository['outcome'], string>;

function walLine({ era, cuts, segments, bytes, retained, stays, stayed }: ExpiredWal, isPlan: boolean): string {
  const ranges = cuts.map(({ timeline, from, to }) => `timeline ${timeline} from ${from} to ${to}`).join('\n');
  const size = bytes === 0 ? '' : `, ${formatBytes(bytes)}`;
  const lock = retained === 0 ? '' : `, ${retained} retained by the store for now`;
  const why = stayed === null ? '' : `: ${stayed}`;
  const gone =
    segments + retained === 0
      ? 'nothing goes'
      : `${segments} segments ${isPlan ? 'would go' : 'deleted'}${size}${lock}`;
  return `${era}: ${gone}, ${stays} stay${why}${ranges === '' ? '' : `\n${ranges}`}`;
}

const more = (all: number, shown: number): string => (all > shown ? ` (the first ${shown} of ${all})` : '');
