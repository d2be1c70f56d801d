import { type Facts, PgproofError } from '../../core/errors.ts';

/** Sorted, each once. */
export const missing = (wanted: readonly string[], there: readonly string[]): string[] =>
  [...new Set(wanted)].filter((name) => !there.includes(name)).sort();
export const quoted = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ');
export const unfit = (message: string, facts: Facts, hint: string): PgproofError =>
  new PgproofError('dump-unfit', message, { facts, hint });
export const usage = (message: string, hint: string): PgproofError => new PgproofError('usage', message, { hint });
