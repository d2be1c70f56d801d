import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { stringify } from 'yaml';
import { PgproofError } from '../../core/errors.ts';
import { parseConfig } from '../../host/config.ts';
import { unwritable } from '../../repository/private-file-write.ts';
import type { InitPlan } from './plan.ts';

/** A commented configuration for one cluster; everything left out has its default (docs/configuration.md). */
export function configText({ cluster, host, connection, role, repository, keyFile }: InitPlan): string {
  const { user: _, ...where } = connection;
  const body = {
    hosts: { [host]: {} },
    repositories: { [repository.name]: repository.section },
    ...(keyFile === null ? {} : { keys: { [cluster]: { file: keyFile } } }),
    clusters: {
      [cluster]: {
        host,
        connection: { ...where, user: role },
        repositories: [repository.name],
        ...(keyFile === null ? {} : { key: cluster }),
        objectives: { rpo: '5m' },
      },
    },
  };
  return `# pgproof. Every key is described in docs/configuration.md.\n${stringify(body)}`;
}

/**
 * Writes the file unless it is there; one that is there must know the cluster, because we never edit what a person wrote.
 * @throws {PgproofError} `config-exists` with the lines to add.
 */
export async function writeConfigOnce(path: string, text: string, cluster: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    if (code !== 'EEXIST') throw unwritable(path, code, error);
    const config = parseConfig(path, await readFile(path, 'utf8'));
    if (Object.hasOwn(config.clusters, cluster)) return;
    throw new PgproofError('config-exists', `'${path}' is there and does not have the cluster '${cluster}'`, {
      facts: { path, cluster },
      hint: `Add what belongs to it, then run this again:\n${text}`,
    });
  }
}
