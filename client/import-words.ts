import type { ErrorDocument } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import type { OldFacts } from '../import/facts.ts';
import type { Inventory } from '../import/inventory.ts';

/* Words that the answers of all `import` verbs share. */

export function described({ kind, database, startedAt, timeFrom, tier, host }: OldFacts) {
  return { kind, database, startedAt: startedAt.toISOString(), timeFrom, tier, host };
}

export function whatItIs({ kind, database }: Pick<OldFacts, 'kind' | 'database'>): string {
  if (kind === 'globals') return '(globals)';
  if (kind === 'cluster') return '(whole server)';
  return database === null ? '?' : printable(database);
}

/** The file stands in front of it already. */
export function withoutPath({ message, facts }: ErrorDocument): string {
  if (typeof facts.path !== 'string') return message;
  const file = `'${printable(facts.path)}'`;
  return message.replace(`${file}: `, '').replace(`${file} is`, 'it is');
}

export const errorOf = (error: { toDocument(): ErrorDocument } | null): ErrorDocument | null =>
  error?.toDocument() ?? null;

export const shortTime = (iso: string): string => iso.replace(/\.\d+Z$/, 'Z');

export const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

export const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}:\n  ${lines.join('\n  ')}`;

/** Nothing is passed over in silence. */
export const passedOver = ({ dir, strange }: Pick<Inventory, 'dir' | 'strange'>): string =>
  strange.length === 0
    ? ''
    : `passed over: ${count(strange.length, 'other file')}; which, and why: pgproof import list ${printable(dir)}`;

export const paragraphs = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join('\n\n');
