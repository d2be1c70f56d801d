/*
 * The last guard before something of ours is kept for years: nothing below puts a secret into a message on purpose, but
 * servers quote what they were given.
 */

const blank = '***';

const secrets: readonly (readonly [RegExp, string])[] = [
  // postgres://user:secret@host, https://key:secret@store
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s@]+(@)/gi, `$1${blank}$2`],
  // password='se''cret', PGPASSWORD=…, passwd: …, "secret": "…", key=… of connection strings and JSON
  [
    /(\b\w*(?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key)\w*["']?\s*[=:]\s*)(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\s'",;&)]+)/gi,
    `$1${blank}`,
  ],
  // CREATE ROLE … PASSWORD 'secret'
  [/(\bpassword\s+)(?:'(?:[^']|'')*'|\$\w*\$.*?\$\w*\$)/gis, `$1${blank}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, blank],
];

/** The same value with everything that looks like a secret blanked, in every string of it. Keys and other values stay. */
export function scrub<T>(value: T): T {
  if (typeof value === 'string') return scrubText(value) as T;
  if (Array.isArray(value)) return value.map((item) => scrub(item)) as T;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, scrub(inner)])) as T;
}

export function scrubText(text: string): string {
  return secrets.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}
