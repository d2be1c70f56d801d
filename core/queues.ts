/** Where the steps of one host are taken from: quick ones, long ones (few slots), and restores, which never wait behind a backup. */
export type HostQueues = { quick: string; bulk: string; restore: string };

/** Workflows, and the steps that need no host. */
export const controlQueue = (fleet: string): string => `pgproof-${fleet}`;

export function hostQueues(fleet: string, host: string): HostQueues {
  const quick = `${controlQueue(fleet)}-${host}`;
  return { quick, bulk: `${quick}-bulk`, restore: `${quick}-restore` };
}
