import type { PgproofError } from '../core/errors.ts';
import { type FoundCluster, inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { assertOwner } from '../repository/owner.ts';
import type { Custody } from './custody.ts';
import { withFreshKeys } from './fresh-keys.ts';
import type { Spool } from './spool.ts';
import type { Target } from './targets.ts';

/** Another fleet may take the cluster over while we ship: it is looked for now and then. */
const ownerEveryMs = 15 * 60_000;

/** One repository's way out of the spool: it waits for no other, and no other waits for it. */
export class Lane {
  readonly target: Target;
  readonly custody: Custody;
  readonly spool: Spool;
  #cluster: FoundCluster;
  #opened: ProtectedCluster | undefined;
  /** When this fleet was last seen to be the owner. */
  #ownedAt = Number.NEGATIVE_INFINITY;

  constructor(cluster: FoundCluster, target: Target, custody: Custody, spool: Spool) {
    this.#cluster = cluster;
    this.target = target;
    this.custody = custody;
    this.spool = spool;
  }

  /** The cluster as this repository has it, where it was opened already. */
  get opened(): ProtectedCluster | undefined {
    return this.#opened;
  }

  /** Takes over the keys of a rotated key file. @returns why that was not possible; the keys at hand go on */
  async refreshKeys(): Promise<PgproofError | null> {
    const { cluster, problem } = await withFreshKeys(this.#cluster);
    this.#cluster = cluster;
    if (this.#opened !== undefined) this.#opened = inRepository(cluster, this.#opened.repository);
    return problem;
  }

  /** The cluster as this repository has it. @throws {PgproofError} why it cannot be opened; `owner-other` */
  async cluster(signal: AbortSignal): Promise<ProtectedCluster> {
    this.#opened ??= await this.#open(signal);
    const opened = this.#opened;
    if (performance.now() - this.#ownedAt > ownerEveryMs) {
      await assertOwner(opened.repository, opened, { signal });
      this.#ownedAt = performance.now();
    }
    return opened;
  }

  async #open(signal: AbortSignal): Promise<ProtectedCluster> {
    const repository = await this.target.open({ signal });
    await this.custody.begin(this.target, repository.id);
    return inRepository(this.#cluster, repository);
  }
}

/** The error, saying in which of several repositories. */
export function inTarget(error: PgproofError, { name }: Pick<Target, 'name'>, isOnly: boolean): PgproofError {
  if (isOnly) return error;
  return error.retold({ message: `repository '${name}': ${error.message}`, facts: { repository: name } });
}
