import { lstat, realpath } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { DumpFormat, DumpKind } from '../core/dump.ts';
import { PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import { endCheck, toItsEnd } from './end.ts';
import { type OldFile, openFile } from './file.ts';
import type { FileSource } from './file-source.ts';
import { openFolder } from './folder.ts';
import { readHead } from './head.ts';
import type { Opening } from './peel.ts';
import { describe, disagreement, promised } from './suffixes.ts';

export type SourceOptions = Partial<Opening>;

/**
 * Recognises a dump by its bytes: SQL, custom, tar, within gzip and the CBC ciphers of `openssl enc -pbkdf2 -salt` in whatever order, or
 * the folder of a directory dump. It reads some kilobytes only.
 * @throws {PgproofError} `file-refused`, `file-unknown`; `passphrase-missing`, `passphrase-wrong`, `object-damaged`, with the path.
 */
export async function openSource(
  path: string,
  { passphrase = null, cipher = null }: SourceOptions = {},
): Promise<FileSource> {
  const stat = await lstat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new PgproofError('file-refused', `'${printable(path)}' cannot be read (${cause.code})`, {
      facts: { path },
      cause,
    });
  });
  if (stat.isDirectory()) return openFolder(await realpath(path));
  const file = await openFile(path, { passphrase, cipher });
  const { format, kind } = dumpIn(file) ?? unknown(file);
  const head = readHead(file.content, file.head);
  return {
    path: await realpath(path),
    name: file.name,
    layers: file.layers,
    storedBytes: file.storedBytes,
    modifiedAt: file.modifiedAt,
    head,
    format,
    kind,
    form: describe(file),
    disagreement: disagreement(file),
    open: (signal, sha256, check = endCheck({ format, kind, head })) =>
      Readable.from(toItsEnd(file.plain(signal, sha256), path, check), { objectMode: false }),
  };
}

function dumpIn({ name, content, head }: OldFile): { format: DumpFormat; kind: DumpKind } | null {
  if (content === 'custom' || content === 'tar') return { format: content, kind: 'database' };
  if (content !== 'text') return null;
  const text = head.toString('latin1');
  // The first that it says: what pg_dumpall writes has the heads of its databases in it.
  const title = /^-- PostgreSQL database (cluster )?dump$/m.exec(text);
  if (title === null) return null;
  if (title[1] === undefined) return { format: 'plain', kind: 'database' };
  return { format: 'plain', kind: promised(name).stem.endsWith('_globals') ? 'globals' : 'cluster' };
}

function unknown(file: OldFile): never {
  const { path, storedBytes } = file;
  const form = storedBytes === 0 ? 'empty' : describe(file);
  const facts = { path, form };
  if (storedBytes === 0) throw empty(facts);
  throw new PgproofError('file-unknown', `'${printable(path)}' is no dump of PostgreSQL's: it is ${form}`, {
    facts,
    hint: 'pgproof reads what pg_dump and pg_dumpall write, in gzip or encrypted by `openssl enc -pbkdf2 -salt` or both.',
  });
}

/** `openssl enc` refuses AEAD ciphers; the shell had made the file by then, and whoever looked only at names saw a backup. */
function empty(facts: { path: string; form: string }): PgproofError {
  const isSealed = promised(facts.path).layers.includes('encrypted');
  const why = isSealed
    ? ', as scripts leave it that are set to aes-256-gcm or chacha20-poly1305: openssl refuses them'
    : '';
  return new PgproofError('file-unknown', `'${printable(facts.path)}' is empty${why}`, {
    facts,
    hint: 'There is nothing in it. Take another one.',
  });
}
