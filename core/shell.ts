/** A word of a command that somebody is told to type: any POSIX shell reads it as this text. */
export function shellQuoted(text: string): string {
  return /^[\w./:@%+,-][\w./:@%+=,-]*$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
