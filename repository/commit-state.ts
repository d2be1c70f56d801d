import type { StoreOptions } from '../storage/store.ts';
import { backupPrefix } from './layout.ts';
import type { Repository } from './repository.ts';

/** What stands beside each other under `backups/` for one id. */
export type CommitState = { committed: boolean; tombstones: string[] };

const nothing: CommitState = { committed: false, tombstones: [] };

/** One listing, by id. A tombstone is written `<id>.<who deletes>.deleted.json`. */
export async function commitStates(
  { store }: Repository,
  cluster: string,
  era: string,
  options: StoreOptions & { id?: string } = {},
): Promise<Map<string, CommitState>> {
  const prefix = backupPrefix(cluster, era);
  const states = new Map<string, CommitState>();
  for await (const { key } of store.list(options.id === undefined ? prefix : `${prefix}${options.id}.`, options)) {
    const name = key.slice(prefix.length);
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
  cluster: string,
  era: string,
  id: string,
  options: StoreOptions = {},
): Promise<CommitState> {
  return (await commitStates(repository, cluster, era, { ...options, id })).get(id) ?? nothing;
}
