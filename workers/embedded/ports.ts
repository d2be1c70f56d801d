import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PgproofError } from '../../core/errors.ts';

/**
 * Makes sure that a port of 127.0.0.1 can be had, before anything is started.
 * @param key the configuration key that changes it.
 * @throws {PgproofError} `port-in-use`, naming the port and what to do.
 */
export async function assertPortFree(port: number, key: string): Promise<void> {
  // A server that was just killed lets go of its port a moment later.
  for (let tries = 0; tries < 5; tries += 1) {
    if (await isPortFree(port)) return;
    await sleep(100);
  }
  throw new PgproofError('port-in-use', `port ${port} of 127.0.0.1, for Temporal's ${key}, is in use`, {
    facts: { port, key: `temporal.embedded.${key}` },
    hint: `See who listens with: ss -ltnp 'sport = :${port}'. Stop that program, or set temporal.embedded.${key} in the configuration to a free port.`,
  });
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
