import { PgproofError } from '../../core/errors.ts';
import { type Lsn, parseLsn } from '../../core/lsn.ts';
import type { TimelineId } from '../../core/segment.ts';

/** What backup_label, the first file of a base backup, says of it. */
export type Label = {
  startLsn: Lsn;
  timeline: TimelineId;
  /** ISO-8601 UTC; null where it stands there in a zone of letters, which is several. */
  startedAt: string | null;
  label: string | null;
};

/** What the `.backup` file in the archive says besides: where and when the copy ended. */
export type LabelEnd = { startLsn: Lsn; stopLsn: Lsn; stoppedAt: string | null };

/**
 * @throws {PgproofError} `manifest-invalid` when the text is not of the form.
 * Source: PostgreSQL src/backend/access/transam/xlogbackup.c, build_backup_content.
 */
export function parseLabel(text: string): Label {
  const fields = fieldsOf(text);
  const timeline = Number(fields.get('START TIMELINE') ?? Number.parseInt(segmentOf(fields).slice(0, 8), 16));
  if (!Number.isInteger(timeline) || timeline < 1) throw unreadable('it names no timeline');
  return {
    startLsn: positionOf(fields, 'START WAL LOCATION'),
    timeline,
    startedAt: timeOf(fields.get('START TIME')),
    label: fields.get('LABEL') ?? null,
  };
}

export function parseLabelEnd(text: string): LabelEnd {
  const fields = fieldsOf(text);
  return {
    startLsn: positionOf(fields, 'START WAL LOCATION'),
    stopLsn: positionOf(fields, 'STOP WAL LOCATION'),
    stoppedAt: timeOf(fields.get('STOP TIME')),
  };
}

function fieldsOf(text: string): Map<string, string> {
  const pairs = text.split('\n').map((line) => /^([A-Z ]+): (.*?)\r?$/.exec(line));
  return new Map(pairs.flatMap((match) => (match === null ? [] : [[match[1] as string, match[2] as string]])));
}

function positionOf(fields: ReadonlyMap<string, string>, name: string): Lsn {
  const position = /^([0-9A-F]+\/[0-9A-F]+)(?: |$)/.exec(fields.get(name) ?? '')?.[1];
  if (position === undefined) throw unreadable(`it has no ${name}`);
  return parseLsn(position);
}

const segmentOf = (fields: ReadonlyMap<string, string>): string =>
  /\(file ([0-9A-F]{24})\)/.exec(fields.get('START WAL LOCATION') ?? '')?.[1] ?? '';

/** The server wrote it in its log_timezone: UTC and offsets mean one moment, CST and IST mean several. */
function timeOf(text: string | undefined): string | null {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (UTC|GMT|[+-]\d\d(?::?\d\d)?)$/.exec(text ?? '');
  if (match === null) return null;
  const [, day, time, zone] = match as unknown as [string, string, string, string];
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  const offset = /^[A-Z]/.test(zone) ? 'Z' : `${zone[0]}${digits.slice(0, 2)}:${digits.slice(2)}`;
  return new Date(`${day}T${time}${offset}`).toISOString();
}

const unreadable = (why: string): PgproofError =>
  new PgproofError('manifest-invalid', `the backup_label is not readable: ${why}`);
