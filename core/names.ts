import { PgproofError } from './errors.ts';

const namePattern = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Names of clusters, hosts, repositories and keys become folders and object keys, so they can hold no dot and no slash. */
export function isName(text: string): boolean {
  return namePattern.test(text);
}

/** @throws {PgproofError} `name-invalid`, quoting the value. */
export function parseName(what: string, text: string): string {
  if (isName(text)) return text;
  throw new PgproofError('name-invalid', `${what} '${text}' is not a name`, {
    facts: { [what]: text },
    hint: `A ${what} name is 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit.`,
  });
}
