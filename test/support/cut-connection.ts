import { rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { keptTempDir } from './temp.ts';

/** A network between clients and a server. */
export type Network = {
  /** The folder to connect to, in place of the server's own. */
  socketDir: string;
  close(): Promise<void>;
};

/** One connection by it: what comes from the server goes to the client. */
export type Link = { there: Socket; client: Socket; drop(): void };

/** Stands before a server's socket, and drops each connection by which the server has sent so many bytes. */
export function cutConnection(server: { socketDir: string; port: number }, bytes: number): Promise<Network> {
  return standBefore(server, ({ there, drop }) => void (there.bytesRead > bytes && drop()));
}

/** Stands before a server's socket. @param passed is told whenever the server has sent something. */
export async function standBefore(
  server: { socketDir: string; port: number },
  passed: (link: Link) => void,
): Promise<Network> {
  const socketDir = keptTempDir('net');
  const name = `.s.PGSQL.${server.port}`;
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const there = createConnection(join(server.socketDir, name));
    const drop = (): void => {
      client.destroy();
      there.destroy();
    };
    for (const socket of [client, there]) {
      open.add(socket);
      socket.on('error', drop).on('close', () => {
        open.delete(socket);
        drop();
      });
    }
    client.pipe(there);
    there.pipe(client);
    there.on('data', () => passed({ there, client, drop }));
  });
  await new Promise<void>((resolve) => listener.listen(join(socketDir, name), resolve));
  const close = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
    rmSync(socketDir, { recursive: true, force: true });
  };
  return { socketDir, close };
}
