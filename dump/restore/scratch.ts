import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProtectedCluster } from '../../postgres/cluster.ts';

/** A private folder of this host for the time of `use`; whatever is in it is gone afterwards. */
export async function inScratch<T>(
  { fetch }: Pick<ProtectedCluster['paths'], 'fetch'>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(fetch, `dump-${randomBytes(4).toString('hex')}`);
  await mkdir(folder, { mode: 0o700 });
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
