import type { StoreOptions } from '../storage/store.ts';
import type { Repository } from './repository.ts';
import type { Shelf } from './shelf.ts';

/** What stands beside each other on a shelf for one id. */
export type CommitState = { committed: boolean; tombstones: string[] };

const nothing: CommitState = { committed: false, tombstones: [] };

/** One listing, by id. A tombstone is written `<id>.<who deletes>.deleted.json`. */
export async function commitStates(
  { store }: Repository,
  { prefix }: Shelf,
  options: StoreOptions & { id?: string } = {},
): Promise<Map<string, CommitState>> {
  const states = new Map<string, CommitState>();
  for await (const { key } of store.list(options.id === undefined ? prefix : `${prefix}${options.id}.`, options)) {
    const name = key.slice(prefix.length);
    if (name.includes('/')) continue;
    const id = name.slice(0, name.indexOf('.'));
    const state = states.get(id) ?? { committed: false, tombstones: [] };
    states.set(id, state);
    if (name.endsWith('.deleted.json')) state.tombstones.push(key);
    else if (name === `${id}.json`) state.committed = true;
  }
  return states;
}

export async function commitState(
  repository: Repository,
  shelf: Shelf,
  id: string,
  options: StoreOptions = {},
): Promise<CommitState> {
  return (await commitStates(repository, shelf, { ...options, id })).get(id) ?? nothing;
}
