import { PgproofError } from '../../core/errors.ts';
import type { TemporalSettings } from '../temporal.ts';

/** What `up` writes into its namespace: the state folder of the host whose server it is. */
export const ownerKey = 'pgproof.state';

/**
 * The embedded server is found by its port alone, and the port is the same for everybody: the `up` of another user or
 * configuration would take our verbs, and back up its own cluster of that name. Only where the configuration names the state
 * folder of each host can a stranger be told.
 * @throws {PgproofError} `temporal-foreign`; nothing was started.
 */
export function assertOwnServer(
  { address, states }: TemporalSettings,
  data: { [key: string]: string } | null | undefined,
): void {
  const owner = data?.[ownerKey];
  if (owner === undefined || states === undefined || states.includes(owner)) return;
  throw new PgproofError('temporal-foreign', `the Temporal server at ${address} belongs to another pgproof: ${owner}`, {
    facts: { address, owner, states },
    hint: `The state folder of this configuration is ${states.join(', ')}. Set temporal.embedded.port and uiPort in it to free ports, and start 'pgproof up'.`,
  });
}
