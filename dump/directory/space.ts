import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { PgproofError } from '../../core/errors.ts';

/** pg_dump is stopped a moment after the window is full. */
const margin = 1.25;
const probeBytes = 1 << 20;

/**
 * Gives the room back that the first bytes of a file take; reading them gives zeros from then on.
 * @returns false where the file system cannot. Source: fallocate(2), FALLOC_FL_PUNCH_HOLE.
 */
export async function punchHole(path: string, from: number, bytes: number, signal: AbortSignal): Promise<boolean> {
  const args = ['--punch-hole', '--offset', String(from), '--length', String(bytes), path];
  const { exitCode } = await execa('fallocate', args, { cancelSignal: signal, reject: false, timeout: 60_000 });
  return exitCode === 0;
}

/** Whether files in this folder can give room back while they grow. */
export async function canPunch(folder: string, signal: AbortSignal): Promise<boolean> {
  const path = join(folder, 'probe');
  const file = await open(path, 'wx', 0o600);
  try {
    await file.write(Buffer.alloc(probeBytes, 1));
    return await punchHole(path, 0, probeBytes, signal);
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

/**
 * @param databaseBytes a dump is hardly ever larger than its database.
 * @throws {PgproofError} `no-space`, before anything is dumped.
 */
export async function refuseTooLittleSpace(
  folder: string,
  { windowBytes, databaseBytes, punches }: { windowBytes: number; databaseBytes: number; punches: boolean },
): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const neededBytes = Math.ceil((punches ? Math.min(windowBytes, databaseBytes) : databaseBytes) * margin);
  if (freeBytes >= neededBytes) return;
  const why = punches ? '' : ': its file system cannot give room back while a file grows';
  throw new PgproofError(
    'no-space',
    `the format directory needs ${neededBytes} bytes in '${folder}', and ${freeBytes} are free${why}`,
    {
      facts: { path: folder, neededBytes, freeBytes },
      hint: 'Free space, give the state folder (hosts.<name>.state) a larger disk, or take the format custom: nothing of it lies on this host.',
    },
  );
}
