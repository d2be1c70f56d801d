import * as z from 'zod';
import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import { type ProtectedCluster, repositoriesToWrite } from '../postgres/cluster.ts';
import type { Repository } from '../repository/repository.ts';

export const dropped = z.object({ repository: z.string(), code: z.string(), message: z.string() });
/** A repository that a backup did not get into, though it was meant to. */
export type Dropped = z.infer<typeof dropped>;

/** How much longer than the required ones a repository may take that is not required, in each step. */
export const graceSeconds = 60;

function tooLate({ name }: Repository, seconds: number): PgproofError {
  return new PgproofError('store-unreachable', `repository '${name}' did not answer within ${seconds} s`, {
    facts: { repository: name, timeoutSeconds: seconds },
  });
}

/** The repositories that one backup is being written to. */
export class Copies {
  readonly #cluster: ProtectedCluster;
  readonly #dropped: Dropped[];
  #live: readonly Repository[];

  constructor(cluster: ProtectedCluster, live: readonly Repository[], gone: readonly Dropped[] = []) {
    this.#cluster = cluster;
    this.#live = live;
    this.#dropped = [...gone];
  }

  /** Those that have everything so far. */
  get live(): readonly Repository[] {
    return this.#live;
  }

  get dropped(): readonly Dropped[] {
    return this.#dropped;
  }

  isRequired({ name }: Pick<Repository, 'name'>): boolean {
    return isRequired(this.#cluster.config, name);
  }

  /** Goes on without it. */
  drop({ name }: Pick<Repository, 'name'>, { code, message }: Pick<PgproofError, 'code' | 'message'>): void {
    this.#live = this.#live.filter((repository) => repository.name !== name);
    if (!this.#dropped.some(({ repository }) => repository === name))
      this.#dropped.push({ repository: name, code, message });
  }

  /**
   * Does it for each, one after the other, the required ones first.
   * @throws {PgproofError} what goes wrong with a required one; another one is dropped, also when it takes more than
   * `seconds`: a store that hangs must not keep a backup from being done where it has to be.
   */
  async each(
    signal: AbortSignal,
    work: (repository: Repository, signal: AbortSignal) => Promise<unknown>,
    seconds = graceSeconds,
  ): Promise<void> {
    for (const repository of this.#live.filter((each) => this.isRequired(each))) await work(repository, signal);
    for (const repository of this.#live.filter((each) => !this.isRequired(each))) {
      // It carries its own reason: what fails late for another reason is named by that.
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(tooLate(repository, seconds)), seconds * 1000);
      try {
        await work(repository, AbortSignal.any([signal, late.signal]));
      } catch (error) {
        throwIfAborted(signal);
        this.drop(repository, asPgproofError(error));
      } finally {
        clearTimeout(timer);
      }
    }
  }
}

/**
 * Where a new backup goes: all that the config says it is written to, as far as they can be used.
 * @throws {PgproofError} why a required one cannot be used.
 */
export function copiesToBe(cluster: ProtectedCluster): Copies {
  const names = writtenNames(cluster.config);
  const copies = new Copies(cluster, repositoriesToWrite(cluster));
  for (const { name, error } of cluster.unavailable) if (names.includes(name)) copies.drop({ name }, error);
  return copies;
}
