import { createHash } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';

/** More than a path can be. */
const longestFile = 64 * 1024;

/**
 * What `sha256sum` or `shasum -a 256` wrote down of a file, beside it. Null where there is no such file.
 * @throws {PgproofError} `object-damaged` when it is not of this file, or of none, or no ordinary file.
 */
export async function writtenChecksum(path: string): Promise<string | null> {
  const beside = `${path}.sha256`;
  const text = await textOf(beside);
  if (text === null) return null;
  const sums = text.split('\n').flatMap((line) => {
    const match = /^\\?([0-9a-f]{64}) [ *](.+)$/i.exec(line.trimEnd());
    return match === null ? [] : [{ sha256: (match[1] as string).toLowerCase(), file: match[2] as string }];
  });
  // A name with a backslash or a line end stands there escaped.
  const escaped = basename(path).replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  const own = sums.find(({ file }) => basename(file) === escaped);
  if (own !== undefined) return own.sha256;
  throw new PgproofError('object-damaged', `'${printable(beside)}' is not of this file`, {
    facts: { path: beside },
    hint: 'It was cut, or belongs to another file. `sha256sum -c` reads it, too.',
  });
}

/**
 * The same bytes, and an error at their end unless they have this SHA-256.
 * @throws {PgproofError} `object-damaged`
 */
export async function* checked(bytes: AsyncIterable<Buffer>, sha256: string): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
  const found = hash.digest('hex');
  if (found === sha256) return;
  throw new PgproofError('object-damaged', `its SHA-256 is not what was written down when it was made`, {
    facts: { expected: sha256, found },
  });
}

async function textOf(path: string): Promise<string | null> {
  try {
    // A pipe would keep whoever opens it waiting for ever.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile())
      throw new PgproofError('object-damaged', 'its .sha256 is no ordinary file', { facts: { path } });
    return stat.size > longestFile ? '' : await file.readFile('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
