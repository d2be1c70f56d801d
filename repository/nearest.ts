import { abortReason } from '../core/abort.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Fallback } from '../core/report.ts';
import type { Repository } from './repository.ts';

export type ReadOptions = {
  signal: AbortSignal;
  /** A repository that takes longer is passed over, as long as there is another to ask. */
  attemptSeconds?: number | undefined;
  /** Repositories that are not asked, by name, because of what was wrong there before. */
  known?: ReadonlyMap<string, PgproofError> | undefined;
};

type Failure = { repository: Repository; error: PgproofError };

/** Told of for people; a restore of a thousand damaged parts says so in a number. */
const mostKept = 100;

/** How long a repository that did not answer is asked last. */
const avoidMs = 60_000;

/**
 * Reads each thing from the nearest repository that has it whole: what is missing or damaged in one is taken from the next,
 * and that is noted. One that does not answer is asked last for a minute, so that its silence is paid for once and not for
 * every object.
 */
export class Nearest {
  readonly #repositories: readonly Repository[];
  readonly #away = new Map<string, { until: number; error: PgproofError }>();
  readonly #fallbacks: Fallback[] = [];
  #count = 0;

  /** @param repositories nearest first; at least one. */
  constructor(repositories: readonly Repository[]) {
    this.#repositories = repositories;
  }

  /** The first so many things that were taken from elsewhere than the nearest. */
  get fallbacks(): readonly Fallback[] {
    return this.#fallbacks;
  }

  /** Whether there is more than one to ask. */
  get several(): boolean {
    return this.#repositories.length > 1;
  }

  /** How often something was taken from elsewhere; more than `fallbacks` has where there were very many. */
  get count(): number {
    return this.#count;
  }

  /**
   * @param what for people, and for the report.
   * @throws {PgproofError} when none has it: what waiting may mend, where one of them is only away; otherwise what the
   * nearest said.
   */
  async read<T>(
    what: string,
    read: (repository: Repository, signal: AbortSignal) => Promise<T>,
    { signal, attemptSeconds, known }: ReadOptions,
  ): Promise<T> {
    const failures: Failure[] = [];
    for (const repository of this.#order()) {
      const before = known?.get(repository.name);
      if (before !== undefined) {
        failures.push({ repository, error: before });
        continue;
      }
      const isLast = failures.length === this.#repositories.length - 1;
      const limit = isLast || attemptSeconds === undefined ? undefined : attemptSeconds;
      try {
        const answer = await withLimit(limit, signal, (limited) => read(repository, limited));
        for (const failure of [...failures, ...this.#passedOver(repository, failures)])
          this.#note(what, failure, repository);
        return answer;
      } catch (thrown) {
        if (signal.aborted) throw abortReason(signal);
        const error = asPgproofError(thrown);
        if (error.code === 'internal' || error.code === 'no-space') throw thrown; // ours, and not the repository's
        if (!error.permanent) this.#away.set(repository.name, { until: Date.now() + avoidMs, error });
        failures.push({ repository, error });
      }
    }
    throw tellingOf(failures.map(({ error }) => error));
  }

  #note(what: string, { repository, error: { code, message } }: Failure, from: Repository): void {
    this.#count += 1;
    if (this.#fallbacks.length >= mostKept) return;
    this.#fallbacks.push({ what, missingIn: repository.name, code, message, takenFrom: from.name });
  }

  /** Nearer ones that were not asked at all, because they had not answered a moment ago. */
  #passedOver(from: Repository, asked: readonly Failure[]): Failure[] {
    const nearer = this.#repositories.slice(0, this.#repositories.indexOf(from));
    return nearer.flatMap((repository) => {
      const away = this.#away.get(repository.name);
      const wasAsked = asked.some((failure) => failure.repository === repository);
      return away === undefined || wasAsked ? [] : [{ repository, error: away.error }];
    });
  }

  #order(): Repository[] {
    const now = Date.now();
    const isAvoided = ({ name }: Repository) => (this.#away.get(name)?.until ?? 0) > now;
    return [
      ...this.#repositories.filter((one) => !isAvoided(one)),
      ...this.#repositories.filter((one) => isAvoided(one)),
    ];
  }
}

/** Where one of several is only away, waiting may mend it; otherwise the nearest one's word counts. */
export function tellingOf(errors: readonly PgproofError[]): PgproofError {
  return errors.find(({ permanent }) => !permanent) ?? (errors[0] as PgproofError);
}

/** A repository that hangs and ignores its signal is let go of all the same. */
export async function withLimit<T>(
  seconds: number | undefined,
  outer: AbortSignal,
  read: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (seconds === undefined) return read(outer);
  const limit = AbortSignal.timeout(seconds * 1000);
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener(
      'abort',
      () => reject(new PgproofError('store-unreachable', `it did not answer within ${seconds} s`)),
      { once: true },
    );
  });
  late.catch(() => {});
  const reading = read(AbortSignal.any([outer, limit]));
  reading.catch(() => {}); // when it loses the race, its own end is of no interest any more
  return Promise.race([reading, late]);
}
