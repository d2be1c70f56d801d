type Places = { repositories: readonly string[]; damagedIn: readonly { repository: string }[] };

/** Names of the repositories that have it, for a cluster with several. */
export const copiesText = ({ repositories, damagedIn }: Places): string =>
  [...repositories, ...damagedIn.map(({ repository }) => `DAMAGED in ${repository}`)].join(', ');

/** What the newest verify found. */
export function whereDamaged(damage: readonly { repository: string }[]): string {
  const names = new Set(damage.map(({ repository }) => repository));
  return names.size === 0 ? '' : `, DAMAGED in ${[...names].join(', ')}`;
}
