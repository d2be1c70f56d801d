import type { BackupFacts, DamagedFacts } from './facts.ts';

/** Who is made on top of whom. */
export type Chains = {
  /** What a backup is an increment of, nearest first; null where one of them is not there whole: then it restores nothing by itself. */
  parentsOf(id: string): readonly string[] | null;
  childrenOf(id: string): readonly string[];
};

/** @param damaged those whose place is known hold their parents, too. */
export function chainsOf(backups: readonly BackupFacts[], damaged: readonly DamagedFacts[]): Chains {
  const parents = new Map(backups.map(({ id, parent }) => [id, parent]));
  const children = new Map<string, string[]>();
  const note = (id: string, parent: string | null): void => {
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), id]);
  };
  for (const { id, parent } of backups) note(id, parent);
  for (const { id, place } of damaged) note(id, place?.parent ?? null);
  const parentsOf = (id: string): string[] | null => {
    const chain: string[] = [];
    for (let parent = parents.get(id); parent !== null; parent = parents.get(parent)) {
      if (parent === undefined || chain.includes(parent)) return null;
      chain.push(parent);
    }
    return chain.filter((each) => parents.has(each)).length === chain.length ? chain : null;
  };
  return { parentsOf, childrenOf: (id) => children.get(id) ?? [] };
}

/** The backups that are to go, oldest first, each behind all that were made on top of it. */
export function childrenFirst(ids: readonly string[], { childrenOf }: Chains): string[] {
  const doomed = new Set(ids);
  const ordered = new Set<string>();
  const add = (id: string): void => {
    if (ordered.has(id) || !doomed.has(id)) return;
    for (const child of childrenOf(id)) add(child);
    ordered.add(id);
  };
  for (const id of ids) add(id);
  return [...ordered];
}
