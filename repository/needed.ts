import { hasCode } from '../core/errors.ts';
import { type Hold, isInForce } from '../core/hold.ts';
import type { StoreOptions } from '../storage/store.ts';
import { type CommitState, commitStates } from './commit-state.ts';
import { readDocument } from './document.ts';
import { listHolds } from './holds.ts';
import { type BackupRecord, backupRecord } from './record.ts';
import type { Repository } from './repository.ts';
import { commitKeyOf, type Shelf } from './shelf.ts';

/** What whoever deletes goes by: one look at all commit files of a shelf, and at the holds that are in force. */
export type Needed = {
  states: Map<string, CommitState>;
  holds: Hold[];
  /**
   * Of backups, which may be each other's parents: of every commit file, also where a tombstone stands beside it: another deleter may be about to withdraw that. Null for
   * one that cannot be read.
   */
  records: Map<string, BackupRecord | null>;
};

/** Looks again and again for one deleter: a commit file never changes, so each is read once. */
export class Looks {
  readonly #read: Map<string, BackupRecord | null>;
  readonly #repository: Repository;
  readonly #shelf: Shelf;
  readonly #options: StoreOptions & { now: Date };

  /** @param known records that need not be read, whatever their signature says: the more is kept. */
  constructor(
    repository: Repository,
    shelf: Shelf,
    { known = [], ...options }: StoreOptions & { now: Date; known?: readonly BackupRecord[] },
  ) {
    this.#repository = repository;
    this.#shelf = shelf;
    this.#options = options;
    this.#read = new Map(known.filter((record) => record.era === shelf.era).map((record) => [record.id, record]));
  }

  /** @throws {PgproofError} what the store says; `record-invalid` for a hold that cannot be read. */
  async look(): Promise<Needed> {
    const { signal, now } = this.#options;
    const options = signal === undefined ? {} : { signal };
    const states = await commitStates(this.#repository, this.#shelf, options);
    const records: Needed['records'] = new Map();
    for (const [id, { committed }] of this.#shelf.what === 'backup' ? states : []) {
      const record = committed ? await this.#recordOf(id, options) : undefined;
      if (record !== undefined) records.set(id, record);
    }
    const holds = await listHolds(this.#repository, this.#shelf.cluster, options);
    return { states, records, holds: holds.filter((hold) => isInForce(hold, now)) };
  }

  /** Undefined when it is gone meanwhile. */
  async #recordOf(id: string, options: StoreOptions): Promise<BackupRecord | null | undefined> {
    const known = this.#read.get(id);
    if (known !== undefined) return known;
    try {
      const key = commitKeyOf(this.#shelf, id);
      const record = await readDocument(this.#repository.store, key, backupRecord, options);
      this.#read.set(id, record);
      return record;
    } catch (error) {
      if (hasCode(error, 'object-missing')) return undefined;
      if (hasCode(error, 'record-invalid', 'repository-format', 'object-damaged')) return null;
      throw error;
    }
  }
}

/** The commit files that name it as their parent, or may do so. A full backup has no parent, and its id says that it is one. */
export function childrenOf({ records }: Needed, id: string): string[] {
  return [...records].flatMap(([other, record]) => {
    const mayBe = record === null ? !other.includes('-full-') && other !== id : record.parent === id;
    return mayBe ? [other] : [];
  });
}
