import { PgproofError } from '../core/errors.ts';

/**
 * One line of postgresql.conf: `name = 'value'`. Quotes are doubled; backslashes too, because PostgreSQL reads C escapes
 * between the quotes.
 * @throws {PgproofError} `internal` for a name that is none, or a line break, which no quoting can carry.
 * Source: PostgreSQL src/backend/utils/misc/guc-file.l, DeescapeQuotedString.
 */
export function quoteSetting(name: string, value: string): string {
  if (!/^[A-Za-z_][\w.]*$/.test(name)) throw new PgproofError('internal', `'${name}' is not the name of a setting`);
  if (/[\r\n\0]/.test(value)) throw new PgproofError('internal', `the value of ${name} has a line break`);
  return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Lines for a configuration file, in the order of the object. */
export function settingLines(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${quoteSetting(name, value)}\n`)
    .join('');
}
