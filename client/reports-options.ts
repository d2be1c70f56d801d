import { InvalidArgumentError } from 'commander';
import { durationSeconds } from '../core/duration.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import { compactTime, isRunId, kindOfOperation } from '../core/ids.ts';
import { operations } from '../core/request.ts';
import { parseTarget } from '../core/target.ts';
import type { RowsAsked } from '../repository/report-rows.ts';

const statuses = ['SUCCESS', 'FAILED', 'CANCELLED'] as const;

/** Kinds of ids: both `walSync` and `wal-sync` are understood. */
export const operationList = (text: string): ReadonlySet<string> =>
  listOf(text, (word) => operations.map(kindOfOperation).find((kind) => kind === kindOfOperation(word)), operations);

export const statusList = (text: string): ReadonlySet<(typeof statuses)[number]> =>
  listOf(
    text,
    (word) => statuses.find((status) => status === word.toUpperCase()),
    statuses.map((status) => status.toLowerCase()),
  );

export function limit(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= 1000) return Number(text);
  throw new InvalidArgumentError('a whole number from 1 to 1000.');
}

/** @throws {PgproofError} `usage`, with option and value. */
export function rangeOf(options: Record<string, unknown>, now: Date): RowsAsked {
  const { since, until, before, id } = options as Record<string, string | undefined>;
  if (id !== undefined && !/^\d{8}/.test(id)) throw wrong('--id', id, 'an id, or a beginning of one that has its day');
  if (before !== undefined && !isRunId(before)) throw wrong('--before', before, "the `next` of a page's answer");
  const from = since === undefined ? undefined : boundOf('--since', since, now);
  const to = until === undefined ? undefined : boundOf('--until', until, now);
  if (from !== undefined && to !== undefined && from >= to)
    throw wrong('--since', since as string, `a time before --until '${until}'`);
  return {
    since: from,
    before: to === undefined || (before !== undefined && before < to) ? before : to,
    kinds: options.operation as ReadonlySet<string> | undefined,
    statuses: options.status as RowsAsked['statuses'],
    attempts: options.attempts === true,
  };
}

function listOf<T extends string>(
  text: string,
  find: (word: string) => T | undefined,
  allowed: readonly string[],
): ReadonlySet<T> {
  const words = text.split(',').map((word) => word.trim());
  return new Set(
    words.map((word) => {
      const found = find(word);
      if (found === undefined) throw new InvalidArgumentError(`'${word}' is none of ${allowed.join(', ')}.`);
      return found;
    }),
  );
}

/** The time that ids begin with. */
function boundOf(option: string, text: string, now: Date): string {
  const ago = durationSeconds(text);
  if (ago !== undefined) return compactTime(new Date(now.getTime() - ago * 1000));
  try {
    const { type, value } = parseTarget(text);
    if (type === 'time') return compactTime(new Date(value as string));
  } catch (error) {
    if (!hasCode(error, 'target-invalid')) throw error;
  }
  throw wrong(option, text, "a time with offset or zone ('2026-11-20 14:05 Asia/Shanghai'), or how long ago (7d)");
}

const wrong = (option: string, value: string, expected: string): PgproofError =>
  new PgproofError('usage', `${option} has '${value}'; expected ${expected}`, { facts: { option, value } });
