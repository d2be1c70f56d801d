import { lstat, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PgproofError } from '../core/errors.ts';
import { openFile } from './file.ts';
import { readHead } from './head.ts';
import type { FileSource } from './source.ts';

/** A directory dump: toc.dat beside the data, all in one folder. @throws {PgproofError} `file-refused`, `file-unknown` */
export async function openFolder(path: string): Promise<FileSource> {
  const names = (await readdir(path)).sort();
  if (!names.includes('toc.dat')) throw noDump(path);
  const stats = await Promise.all(names.map((name) => ordinary(join(path, name))));
  const toc = await openFile(join(path, 'toc.dat'), { passphrase: null, cipher: null });
  if (toc.content !== 'custom') throw noDump(path);
  return {
    path,
    name: basename(path),
    format: 'directory',
    kind: 'database',
    layers: [],
    form: "pg_dump's directory format",
    storedBytes: stats.reduce((sum, { size }) => sum + size, 0),
    modifiedAt: toc.modifiedAt,
    disagreement: null,
    head: readHead('custom', toc.head),
    open: () => {
      throw new PgproofError('internal', `'${path}' cannot be read yet`);
    },
  };
}

async function ordinary(path: string): Promise<{ size: number }> {
  const stat = await lstat(path);
  if (stat.isFile()) return stat;
  throw new PgproofError('file-refused', `'${path}' is no ordinary file`, { facts: { path } });
}

function noDump(path: string): PgproofError {
  return new PgproofError('file-unknown', `'${path}' is a folder, and no directory dump: it has no toc.dat`, {
    facts: { path },
    hint: 'Give one dump: a file, or the folder that pg_dump -Fd made.',
  });
}
