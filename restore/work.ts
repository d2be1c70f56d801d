import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { RestorePlan } from './record.ts';

/** What one recovery needs beside the data directory: private (0700), and gone when it is over. */
export type WorkFolder = {
  /** Also the folder of the server's socket. */
  root: string;
  /** Where the prefetcher and restore_command meet. */
  wal: string;
  configFile: string;
  hbaFile: string;
  identFile: string;
};

/** @param root @defaultValue a folder beside other recoveries' of this cluster; short, because a socket's path is at most 107 bytes */
export function workFolder(
  { paths }: ProtectedCluster,
  plan: RestorePlan,
  root = join(paths.fetch, plan.id.slice(-8)),
): WorkFolder {
  return {
    root,
    wal: join(root, 'wal'),
    configFile: join(root, 'postgresql.conf'),
    hbaFile: join(root, 'pg_hba.conf'),
    identFile: join(root, 'pg_ident.conf'),
  };
}

/** @throws {PgproofError} `server-settings` where the path of the server's socket would be longer than PostgreSQL takes it. */
export function refuseLongSocket({ root }: Pick<WorkFolder, 'root'>): void {
  const path = join(root, '.s.PGSQL.5432');
  if (Buffer.byteLength(path) <= 107) return;
  throw new PgproofError('server-settings', `the path of the socket '${path}' would be longer than 107 bytes`, {
    facts: { path },
    hint: 'Use a shorter state folder: hosts.<name>.state.',
  });
}

/** Made anew: nothing in it is worth keeping. */
export async function makeWorkFolder({ root }: WorkFolder): Promise<void> {
  await removeWorkFolder({ root });
  await mkdir(root, { recursive: true, mode: 0o700 });
}

export async function removeWorkFolder({ root }: Pick<WorkFolder, 'root'>): Promise<void> {
  await rm(root, { recursive: true, force: true, maxRetries: 5 });
}
