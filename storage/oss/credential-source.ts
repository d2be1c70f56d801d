import type { StoreCredentials as Credentials } from '../credentials-file.ts';

export type { Credentials };

/** Where a bucket's credentials come from; asked before every request. */
export interface CredentialSource {
  /** @throws {PgproofError} `credentials-missing`, `credentials-expired`; `store-unreachable` where the source is away. */
  current(signal: AbortSignal): Promise<Credentials>;
  /** The store says that these have expired, or that it does not know them (any more). */
  refused(credentials: Credentials): void;
}
