import { type ExpiredDumps, type ExpiredRepository, type ExpiredWal, expireResult } from '../../core/expired.ts';
import { formatBytes } from '../../core/format.ts';
import type { Report } from '../../core/report.ts';
import { seriesName } from '../../core/retention/dumps.ts';
import { fields, list, section } from './text.ts';

export function renderExpire({ result }: Report): string {
  const parsed = expireResult.safeParse(result);
  return parsed.success ? parsed.data.repositories.map(renderExpired).join('\n\n') : '';
}

/** One repository: each backup and each dump with the rule that keeps or deletes it, and the WAL that follows. */
export function renderExpired(one: ExpiredRepository): string {
  const { repository, outcome, kept, keptBackups, deleted, deletedBackups, wal } = one;
  const { dumps, refusals, notes, endedHolds, error } = one;
  const isPlan = outcome === 'planned' || outcome === 'refused';
  return [
    fields([
      ['expire', `${repository}: ${outcomes[outcome]}`],
      ...(error === null ? [] : [['error', `${error.message} [${error.code}]`] as const]),
      ...refusals.map((refusal) => [isPlan ? 'REFUSED' : 'confirmed', refusal] as const),
      ...(error === null ? [['backups', counts(deletedBackups, keptBackups, isPlan)] as const] : []),
      ...wal.map((each) => ['WAL', walLine(each, isPlan)] as const),
      ...(dumps.deletedDumps + dumps.keptDumps === 0
        ? []
        : [['dumps', counts(dumps.deletedDumps, dumps.keptDumps, isPlan)] as const]),
      ...(endedHolds === 0
        ? []
        : [['holds', `${endedHolds} had ended, and ${endedHolds === 1 ? 'is' : 'are'} gone`] as const]),
    ]),
    section(
      `${isPlan ? 'would go' : 'deleted'}${more(deletedBackups, deleted.length)}`,
      list(deleted.map((gone) => [gone.id, fate(gone)])),
    ),
    section(
      `${isPlan ? 'would stay' : 'kept'}${more(keptBackups, kept.length)}`,
      list(kept.map(({ id, reasons }) => [id, reasonText(reasons)])),
    ),
    ...dumpSections(dumps, isPlan),
    section('notes', list(notes.map((note) => [note]))),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function dumpSections({ kept, keptDumps, deleted, deletedDumps }: ExpiredDumps, isPlan: boolean): string[] {
  const what = (dump: ExpiredDumps['kept'][number] | ExpiredDumps['deleted'][number]): string[] => [
    dump.id,
    seriesName(dump),
    dump.tier,
  ];
  return [
    section(
      `dumps ${isPlan ? 'that would go' : 'deleted'}${more(deletedDumps, deleted.length)}`,
      list(deleted.map((gone) => [...what(gone), fate(gone)])),
    ),
    section(
      `dumps ${isPlan ? 'that would stay' : 'kept'}${more(keptDumps, kept.length)}`,
      list(kept.map((dump) => [...what(dump), reasonText(dump.reasons)])),
    ),
  ];
}

const counts = (gone: number, kept: number, isPlan: boolean): string =>
  `${gone} ${isPlan ? 'would go' : 'deleted'}, ${kept} ${isPlan ? 'would stay' : 'kept'}`;

type Gone = Pick<ExpiredRepository['deleted'][number], 'why' | 'outcome' | 'detail'>;

const fate = ({ why, outcome, detail }: Gone): string =>
  outcome === 'deleted' || outcome === 'planned' ? why : `${outcome}: ${detail}`;

const reasonText = (reasons: ExpiredRepository['kept'][number]['reasons']): string =>
  reasons.map(({ rule, because }) => `${rule}: ${because}`).join('; ');

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
