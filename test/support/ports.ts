import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { runDir } from './places.ts';

/** Below those that the kernel gives to whoever takes any: what is free now is free when somebody comes to listen on it. */
const [lowest, highest] = [10_000, 32_000];

/** A port on which nobody listens, and that no other test of this run is given. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest);
    if (isOurs(port) && (await isFree(port))) return port;
  }
}

function isOurs(port: number): boolean {
  try {
    writeFileSync(join(runDir(), 'run', `port-${port}`), '', { flag: 'wx' });
    return true;
  } catch {
    return false; // another test's
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
