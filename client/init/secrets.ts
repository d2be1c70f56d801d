import { join } from 'node:path';
import { hasCode, PgproofError } from '../../core/errors.ts';
import { readPrivateFile } from '../../repository/private-file.ts';
import { createPrivateFile } from '../../repository/private-file-write.ts';
import type { SecretFile } from './from-env.ts';

/**
 * Makes the files, mode 0600. One that is there with the same content stays.
 * @throws {PgproofError} `config-exists` when one is there with another content, before any is made; `key-file-open`, `file-unwritable`, `no-space`.
 */
export async function writeSecretsOnce(folder: string, secrets: readonly SecretFile[]): Promise<void> {
  const missing: { path: string; content: string }[] = [];
  for (const { name, content } of secrets) {
    const path = join(folder, name);
    const there = await readThere(path);
    if (there === undefined) missing.push({ path, content });
    else if (there !== content) throw another(path);
  }
  for (const { path, content } of missing) await createPrivateFile(path, content);
}

async function readThere(path: string): Promise<string | undefined> {
  try {
    return (await readPrivateFile(path, 'secret file')).text;
  } catch (error) {
    if (hasCode(error, 'key-file-missing') && error.facts.reason === 'ENOENT') return undefined;
    throw error;
  }
}

function another(path: string): PgproofError {
  return new PgproofError('config-exists', `the file '${path}' is there and holds another secret`, {
    facts: { path },
    hint: 'Move it away when it is not needed any more, or give another --config: the files lie beside it.',
  });
}
