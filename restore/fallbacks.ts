import type { Nearest } from '../repository/nearest.ts';

/** So many repositories are told apart; the report's `fallbacks` names the objects. */
const mostSentences = 5;

/** What was taken from elsewhere than the nearest repository, a sentence for each pair of repositories and each reason. */
export function fallbackNotes({ fallbacks }: Nearest): string[] {
  const groups = new Map<string, { first: (typeof fallbacks)[number]; count: number }>();
  for (const fallback of fallbacks) {
    const key = `${fallback.missingIn} ${fallback.takenFrom} ${fallback.code}`;
    const group = groups.get(key);
    groups.set(key, { first: group?.first ?? fallback, count: (group?.count ?? 0) + 1 });
  }
  return [...groups.values()].slice(0, mostSentences).map(({ first, count }) => {
    const more = count === 1 ? '' : ` and ${count - 1} more`;
    return `${first.what}${more} came from repository '${first.takenFrom}', because in '${first.missingIn}': ${first.message} [${first.code}].`;
  });
}
