import { resolve } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import { isName } from '../../core/names.ts';
import { openRepository, type Repository } from '../../repository/repository.ts';
import type { Session } from '../session.ts';

/** @param key a name of the configuration; anything that is no name is a path. */
export async function keyFilePath(session: Session, key: string): Promise<string> {
  if (!isName(key)) return resolve(key);
  const { config } = await session.host();
  const configured = Object.hasOwn(config.keys, key) ? config.keys[key] : undefined;
  if (configured !== undefined) return configured.file;
  throw new PgproofError('usage', `the configuration has no key '${key}'`, {
    facts: { key, known: Object.keys(config.keys) },
    hint: `For a file in this folder, write ./${key}`,
  });
}

export async function namedRepository(session: Session): Promise<Repository> {
  const name = session.options.repository as string;
  const { config } = await session.host();
  const configured = Object.hasOwn(config.repositories, name) ? config.repositories[name] : undefined;
  if (configured !== undefined) return openRepository(name, configured, { signal: session.signal });
  throw new PgproofError('repository-unknown', `the configuration has no repository '${name}'`, {
    facts: { repository: name, known: Object.keys(config.repositories) },
  });
}
