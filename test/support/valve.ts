import { type Link, type Network, standBefore } from './cut-connection.ts';

/** A network that can be made to stand still in the middle of what passes: whatever the speed of the machine, it is under way then. */
export type Valve = Network & {
  /** From now on each connection stands still once the server has sent so many bytes by it. Settles when the first one does. */
  shut(bytes: number): Promise<void>;
  /** Everything flows again. */
  open(): void;
};

export async function openValve(server: { socketDir: string; port: number }): Promise<Valve> {
  let limit = Number.POSITIVE_INFINITY;
  let stands = (): void => {};
  const still = new Set<Link>();
  const network = await standBefore(server, (link) => {
    if (link.there.bytesRead <= limit) return;
    link.there.unpipe(link.client).pause();
    still.add(link);
    stands();
  });
  return {
    ...network,
    shut: (bytes) => {
      limit = bytes;
      return new Promise((resolve) => {
        stands = resolve;
      });
    },
    open: () => {
      limit = Number.POSITIVE_INFINITY;
      for (const { there, client } of still) there.pipe(client);
      still.clear();
    },
  };
}
