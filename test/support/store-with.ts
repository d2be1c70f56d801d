import type { ObjectStore } from '../../storage/store.ts';

/** The store, in which these operations are done otherwise. `faulty` of storage/ knows what goes wrong in a store by itself. */
export function storeWith(store: ObjectStore, instead: Partial<ObjectStore>): ObjectStore {
  return {
    create: (...args) => store.create(...args),
    read: (...args) => store.read(...args),
    list: (...args) => store.list(...args),
    remove: (...args) => store.remove(...args),
    ...instead,
  };
}
