import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { tempDir } from './temp.ts';

/** A network between clients and a server, that loses what carries much. */
export type CutConnection = {
  /** The folder to connect to, in place of the server's own. */
  socketDir: string;
  close(): Promise<void>;
};

/** Stands before a server's socket, and drops each connection by which the server has sent so many bytes. */
export async function cutConnection(
  server: { socketDir: string; port: number },
  bytes: number,
): Promise<CutConnection> {
  const socketDir = tempDir('cut');
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
    there.on('data', () => void (there.bytesRead > bytes && drop()));
  });
  await new Promise<void>((resolve) => listener.listen(join(socketDir, name), resolve));
  const close = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  };
  return { socketDir, close };
}
