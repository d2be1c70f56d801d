import { PgproofError } from '../../core/errors.ts';
import { untilAborted } from '../until-aborted.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';

/** Asks the source for new credentials. */
export type Fetch = (signal: AbortSignal) => Promise<Credentials>;

/** New ones are asked for when less than this is left, so that a source that is away for minutes is not noticed. */
const marginMs = 10 * 60_000;
const firstWaitMs = 1000;
const longestWaitMs = 60_000;
const fetchMs = 15_000;

/**
 * Temporary credentials, refreshed before they expire. A refresh that fails is tried again, with growing pauses, while the old
 * ones hold; after that whoever asks gets the reason.
 */
export class Refreshing implements CredentialSource {
  readonly #fetch: Fetch;
  readonly #now: () => number;
  #credentials: Credentials | undefined;
  #fetching: Promise<Credentials> | undefined;
  #failures = 0;
  #notBefore = 0;

  constructor(fetch: Fetch, now: () => number = Date.now) {
    this.#fetch = fetch;
    this.#now = now;
  }

  async current(signal: AbortSignal): Promise<Credentials> {
    const known = this.#credentials;
    const leftMs = known === undefined ? 0 : this.#leftMs(known);
    if (known === undefined || leftMs <= 0) return untilAborted(signal, () => this.#refreshed());
    // Nobody waits for what is done in good time, and nobody fails with it.
    if (leftMs < marginMs && this.#now() >= this.#notBefore) this.#refreshed().catch(() => {});
    return known;
  }

  refused(credentials: Credentials): void {
    if (this.#credentials === credentials) this.#credentials = undefined;
  }

  #leftMs({ expiresAt }: Credentials): number {
    return expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt.getTime() - this.#now();
  }

  /** One request, however many wait for it. */
  #refreshed(): Promise<Credentials> {
    this.#fetching ??= this.#refresh().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #refresh(): Promise<Credentials> {
    try {
      const credentials = await this.#fetch(AbortSignal.timeout(fetchMs));
      if (this.#leftMs(credentials) <= 0)
        throw new PgproofError('credentials-expired', 'the credentials that were given out have expired already', {
          facts: { expiredAt: credentials.expiresAt?.toISOString() ?? null },
          hint: 'Compare the clock of this host with the true time.',
        });
      this.#failures = 0;
      this.#credentials = credentials;
      return credentials;
    } catch (error) {
      this.#notBefore = this.#now() + Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(this.#failures, 10));
      this.#failures += 1;
      throw error;
    }
  }
}
