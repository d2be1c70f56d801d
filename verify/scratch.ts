import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { withFolderLock } from '../wal/spool-lock.ts';

/** What a run unpacks lies below the cluster's drills, under a name that no drill has. */
const scratchName = /^verify-[0-9a-f]{8}$/;

/**
 * Runs `use` as the only verify of the cluster on this host: two would read the same share, and repair the same object. The lock
 * ends with its holder, however that ends; so what lies in a scratch folder then is a killed run's, and is removed first.
 * @param use is told, in sentences, what was removed.
 * @throws {PgproofError} `cluster-busy`
 */
export function asOnlyVerify<T>(
  cluster: ProtectedCluster,
  signal: AbortSignal,
  use: (signal: AbortSignal, notes: string[]) => Promise<T>,
): Promise<T> {
  const busy = (cause: PgproofError) =>
    new PgproofError('cluster-busy', `another verify of cluster ${cluster.name} runs on this host`, {
      facts: { cluster: cluster.name, holder: 'pgproof verify' },
      hint: 'Wait for it, or cancel it.',
      cause,
    });
  return withFolderLock(join(cluster.paths.state, 'verify'), busy, signal, async (held) =>
    use(held, await removeScratch(cluster)),
  );
}

/** Makes the folder for one backup's files, and removes it whatever `use` comes to. */
export async function inScratch<T>(
  { paths }: ProtectedCluster,
  id: string,
  use: (dataDir: string) => Promise<T>,
): Promise<T> {
  const root = scratchRoot({ paths }, id);
  const dataDir = join(root, 'data');
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    return await use(dataDir);
  } finally {
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }
}

const scratchRoot = ({ paths }: Pick<ProtectedCluster, 'paths'>, id: string): string =>
  join(paths.drills, `verify-${id.slice(-8)}`);

async function removeScratch({ paths }: ProtectedCluster): Promise<string[]> {
  const left = (await readdir(paths.drills)).filter((name) => scratchName.test(name));
  for (const name of left) await rm(join(paths.drills, name), { recursive: true, force: true, maxRetries: 5 });
  return left.map((name) => `What a killed verify had left in '${join(paths.drills, name)}' was removed.`);
}
