import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import type { RepositoryConfig } from '../core/config.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import { makeRoot } from '../storage/file/store.ts';
import { type OpenOptions, openStore } from '../storage/open.ts';
import type { ObjectStore, StoreOptions } from '../storage/store.ts';
import { canonicalBytes, readDocument } from './document.ts';
import { formatVersion, readmeKey, repositoryKey } from './layout.ts';
import { locationOf } from './location.ts';
import { readmeText } from './readme.ts';
import { repositoryRecord } from './record.ts';

/** Backups and WAL of clusters, at one place. */
export type Repository = {
  /** The config's name of it. */
  name: string;
  config: RepositoryConfig;
  /** Drawn when it was made; tells two repositories apart whatever they are called. */
  id: string;
  /** For people: the folder, or `oss://bucket/prefix`. */
  location: string;
  store: ObjectStore;
};

/** @param options.env where a store's credentials may come from; this process's own environment unless it is given. */
export type RepositoryOptions = StoreOptions & OpenOptions;

/**
 * Opens a repository by its marker.
 * @throws {PgproofError} `repository-missing` for an absent or empty place, `repository-foreign` for any other place,
 * `repository-format` for one that a newer version made; what the store says of credentials, bucket and region.
 */
export async function openRepository(
  name: string,
  config: RepositoryConfig,
  options: RepositoryOptions = {},
): Promise<Repository> {
  const repository = await findRepository(name, config, await openStore(config, options), options);
  if (repository !== undefined) return repository;
  const location = locationOf(config);
  const hint =
    config.type === 'file'
      ? `Is its file system mounted? Run 'pgproof init' to make it, or correct repositories.${name}.path.`
      : `Run 'pgproof init' to make it, or correct bucket and prefix of repositories.${name}.`;
  throw new PgproofError('repository-missing', `there is no repository at '${location}'`, {
    facts: { repository: name, location },
    hint,
  });
}

/**
 * Makes a repository in an absent or empty folder, or below a prefix without objects: its marker, and README.txt. An
 * existing one is opened.
 * @throws {PgproofError} `repository-foreign` for a place with anything else in it; nothing is touched.
 */
export async function initRepository(
  name: string,
  config: RepositoryConfig,
  options: RepositoryOptions = {},
): Promise<Repository> {
  const store = await openStore(config, options);
  const existing = await findRepository(name, config, store, options);
  const repository = existing ?? (await createRepository(name, config, store, options));
  // Also for an existing one: whoever made it may have been killed between the two.
  await createOnce(repository.store, readmeKey, new TextEncoder().encode(readmeText), options);
  return repository;
}

async function createRepository(
  name: string,
  config: RepositoryConfig,
  store: ObjectStore,
  options: RepositoryOptions,
): Promise<Repository> {
  if (config.type === 'file') await makeRoot(config.path);
  const marker = { formatVersion, repositoryId: randomUUID(), createdAt: new Date().toISOString() };
  await createOnce(store, repositoryKey, canonicalBytes(marker), options);
  return openRepository(name, config, options);
}

async function findRepository(
  name: string,
  config: RepositoryConfig,
  store: ObjectStore,
  options: RepositoryOptions,
): Promise<Repository | undefined> {
  // A folder that is absent has no store yet that could be asked.
  if (config.type === 'file' && !(await hasMarker(name, config))) return undefined;
  try {
    const { repositoryId } = await readDocument(store, repositoryKey, repositoryRecord, options);
    return { name, config, id: repositoryId, location: locationOf(config), store };
  } catch (error) {
    if (hasCode(error, 'record-invalid')) throw foreign(name, config, error);
    if (!hasCode(error, 'object-missing')) throw error;
    for await (const { key } of store.list('', options)) throw foreign(name, config, error, key);
    return undefined;
  }
}

/** @returns false for an absent or empty folder. What a fresh file system has, and what a killed `init` left, does not count. */
async function hasMarker(name: string, config: Extract<RepositoryConfig, { type: 'file' }>): Promise<boolean> {
  const names = await namesIn(name, config);
  if (names.includes(repositoryKey)) return true;
  if (names.length > 0) throw foreign(name, config);
  return false;
}

async function namesIn(name: string, config: Extract<RepositoryConfig, { type: 'file' }>): Promise<string[]> {
  const { path } = config;
  try {
    return (await readdir(path)).filter((entry) => entry !== '.incoming' && entry !== 'lost+found');
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code === 'ENOTDIR') throw foreign(name, config, cause);
    throw new PgproofError(
      code === 'EACCES' ? 'store-denied' : 'store-unreachable',
      `'${path}' cannot be listed: ${code}`,
      {
        facts: { path, errno: code },
        cause,
      },
    );
  }
}

async function createOnce(store: ObjectStore, key: string, bytes: Uint8Array, options: StoreOptions): Promise<void> {
  try {
    await store.create(key, bytes, options);
  } catch (error) {
    if (!hasCode(error, 'object-exists')) throw error;
  }
}

/** @param key of an object that is there, where one was seen. */
function foreign(name: string, config: RepositoryConfig, cause?: unknown, key?: string): PgproofError {
  const location = locationOf(config);
  return new PgproofError('repository-foreign', `'${location}' holds something other than a repository of pgproof`, {
    facts: { repository: name, location, ...(key === undefined ? {} : { key }) },
    hint:
      config.type === 'file'
        ? 'Choose an empty or absent folder, or the folder that holds pgproof-repository.json.'
        : 'Choose a prefix without objects, or the one that holds pgproof-repository.json.',
    cause,
  });
}
