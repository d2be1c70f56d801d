import * as z from 'zod';
import { PgproofError } from './errors.ts';
import { parseLsn } from './lsn.ts';
import { instantsAt } from './zone.ts';

const targetTypes = ['time', 'latest', 'immediate', 'lsn', 'xid', 'name', 'backup'] as const;

/** Where a recovery stops. `value` is null for `latest` and `immediate`; a time is ISO-8601 UTC. `timeline` null: the newest adopted one. */
export const recoveryTarget = z.object({
  type: z.enum(targetTypes),
  value: z.string().nullable(),
  inclusive: z.boolean(),
  timeline: z.number().int().positive().nullable(),
  action: z.enum(['promote', 'pause', 'shutdown']),
});
export type RecoveryTarget = z.infer<typeof recoveryTarget>;

type TargetOptions = Partial<Pick<RecoveryTarget, 'inclusive' | 'timeline' | 'action'>>;

/**
 * Reads what `--to` takes: a time with offset or zone, `latest`, `immediate`, `lsn:X/X`, `xid:N`, `name:TEXT`, `backup:ID`.
 * @throws {PgproofError} `target-invalid`, quoting the value; a time without a zone is refused, never guessed.
 */
export function parseTarget(text: string, options: TargetOptions = {}): RecoveryTarget {
  const target = { inclusive: true, timeline: null, action: 'promote' as const, ...options };
  if (text === 'latest' || text === 'immediate') return { type: text, value: null, ...target };
  const match = /^(lsn|xid|name|backup):(.+)$/s.exec(text);
  if (match === null) return { type: 'time', value: parseTargetTime(text), ...target };
  const [, type, value] = match as unknown as [string, 'lsn' | 'xid' | 'name' | 'backup', string];
  if (type === 'lsn') return { type, value: parseLsn(value), ...target };
  if (type === 'xid' && !/^[1-9]\d{0,9}$/.test(value)) throw invalid(text, 'a transaction id is a positive number');
  // 63: PostgreSQL cuts a restore point's name at MAXFNAMELEN - 1; a longer one would never be met.
  if (type === 'name' && new TextEncoder().encode(value).length > 63)
    throw invalid(text, 'a restore point has at most 63 bytes');
  return { type, value, ...target };
}

export function formatTarget(target: RecoveryTarget): string {
  if (target.value === null) return target.type;
  return target.type === 'time' ? target.value : `${target.type}:${target.value}`;
}

function parseTargetTime(text: string): string {
  const match =
    /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(\.\d{1,6})?)?\s*(Z|UTC|[+-]\d{2}(?::?\d{2})?)?(?:\s*\[?([A-Za-z]+(?:\/[A-Za-z_+-]+)*)\]?)?$/.exec(
      text.trim(),
    );
  if (match === null) throw invalid(text, 'it is neither a time nor latest, immediate, lsn:, xid:, name: or backup:');
  const [, day, minute, second = '00', fraction = '', offset, zone] = match;
  const local = `${day}T${minute}:${second}${fraction}`;
  if (offset !== undefined) return exactTime(text, local, normalOffset(offset));
  if (zone !== undefined) return exactTime(text, local, zoneOffset(text, local, zone));
  throw invalid(text, 'it has no offset or zone');
}

function normalOffset(offset: string): string {
  if (offset === 'Z' || offset === 'UTC') return 'Z';
  const digits = offset.slice(1).replace(':', '').padEnd(4, '0');
  return `${offset[0]}${digits.slice(0, 2)}:${digits.slice(2)}`;
}

/** Microseconds are kept: JavaScript dates end at milliseconds, PostgreSQL's do not. */
function exactTime(text: string, local: string, offset: string): string {
  const [whole, fraction] = local.split('.') as [string, string | undefined];
  const at = new Date(`${whole}${offset}`);
  const day = new Date(`${whole}Z`);
  if (Number.isNaN(at.getTime()) || day.toISOString().slice(0, 19) !== whole)
    throw invalid(text, 'there is no such time');
  return `${at.toISOString().slice(0, 19)}${fraction === undefined ? '' : `.${fraction}`}Z`;
}

/** The zone's offset at that wall-clock time; the hour that comes twice, and the one that never comes, are refused. */
function zoneOffset(text: string, local: string, zone: string): string {
  const wall = Date.parse(`${local.slice(0, 19)}Z`);
  const [at, again] = instantsIn(text, zone, wall);
  if (at !== undefined && again === undefined) return offsetText((wall - at) / 60_000);
  throw invalid(
    text,
    at === undefined ? 'the clocks skip this hour there' : 'this hour comes twice there; give an offset',
  );
}

function instantsIn(text: string, zone: string, wall: number): number[] {
  try {
    return instantsAt(zone, wall);
  } catch {
    throw invalid(text, `there is no time zone '${zone}' of whole minutes`);
  }
}

function offsetText(minutes: number): string {
  const absolute = Math.abs(minutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
}

function invalid(text: string, why: string): PgproofError {
  return new PgproofError('target-invalid', `the target '${text}' is not usable: ${why}`, {
    facts: { target: text },
    hint: "Give a time with its offset or zone, such as '2026-11-20 14:05:00+08:00' or '2026-11-20 14:05:00 Asia/Shanghai', or latest, immediate, lsn:X/X, xid:N, name:TEXT, backup:ID.",
  });
}
