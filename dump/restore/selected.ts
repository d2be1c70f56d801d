import { PgproofError } from '../../core/errors.ts';

/** `216; 1259 16405 TABLE public orders shop`: its number in this dump's list, and what the catalogues called it. */
type Line = { text: string; number: string | null; object: string | null };

/**
 * Refuses a list that is not this dump's own: the same numbers stand for other things in another one's, and pg_restore passes over those
 * that it does not know, and succeeds.
 * @param list what `pg_restore --list` says of the dump.
 * @throws {PgproofError} `dump-unfit`
 */
export function refuseOtherList(select: string, list: string, what: string): void {
  const own = new Map(linesOf(list).map(({ number, object }) => [number, object]));
  const strange = linesOf(select).filter(
    ({ number, object }) => !own.has(number) || (object !== null && own.get(number) !== object),
  );
  const [first] = strange;
  if (first === undefined) return;
  const more = strange.length === 1 ? '' : `, and ${strange.length - 1} more lines`;
  throw new PgproofError('dump-unfit', `the list of --select is not of ${what}: '${first.text.slice(0, 200)}'${more}`, {
    facts: { dump: what, lines: strange.slice(0, 20).map(({ text }) => text.slice(0, 200)) },
    hint: 'Print the list of this very dump with --list, and take lines out of it.',
  });
}

/** All that are no comments. */
function linesOf(list: string): Line[] {
  const lines = list.split('\n').map((line) => line.trim());
  return lines
    .filter((text) => text !== '' && !text.startsWith(';'))
    .map((text) => {
      const [, number = null, object = null] = /^(\d+)(?:; *(\d+ \d+) )?/.exec(text) ?? [];
      return { text, number, object };
    });
}
