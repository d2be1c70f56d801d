import type { Stats } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { throwIfAborted } from '../core/abort.ts';
import { PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import { checkOf } from '../dump/directory/ending.ts';
import { endBytes, memberName, paddingOf, writeHeader } from '../dump/directory/member.ts';
import { blockBytes } from '../postgres/tar/header.ts';
import { endCheck, toItsEnd } from './end.ts';
import { openFile } from './file.ts';
import type { FileSource } from './file-source.ts';
import { readHead } from './head.ts';

/** A header has room for a length below 8 GiB; larger files come in pieces. */
const pieceBytes = 1 << 30;

type Member = { path: string; name: string; stat: Stats };

/** A directory dump: toc.dat beside the data, all in one folder. @throws {PgproofError} `file-refused`, `file-unknown` */
export async function openFolder(path: string): Promise<FileSource> {
  const names = (await readdir(path)).sort();
  if (!names.includes('toc.dat')) throw noDump(path);
  // It tells what the other files are, so it comes first.
  const ordered = ['toc.dat', ...names.filter((name) => name !== 'toc.dat')];
  const members = await Promise.all(ordered.map((name) => memberAt(path, name)));
  const toc = await openFile(join(path, 'toc.dat'), { passphrase: null, cipher: null });
  if (toc.content !== 'custom') throw noDump(path);
  const what = { format: 'directory', kind: 'database', head: readHead('custom', toc.head) } as const;
  return {
    ...what,
    path,
    name: basename(path),
    layers: [],
    form: "pg_dump's directory format",
    storedBytes: members.reduce((sum, { stat }) => sum + stat.size, 0),
    modifiedAt: toc.modifiedAt,
    disagreement: null,
    open: (signal, _sha256, check = endCheck(what)) =>
      Readable.from(toItsEnd(packed(members, signal), path, check), { objectMode: false }),
  };
}

/** As one tar stream, which is what a directory dump is stored as; without times, so that a copied folder is the same dump. @throws {PgproofError} `dump-unverified` for a file that was cut. */
async function* packed(members: readonly Member[], signal: AbortSignal): AsyncGenerator<Buffer> {
  for (const member of members) {
    const { size } = member.stat;
    const check = checkOf(member.name);
    for (let from = 0, piece = 1; piece === 1 || from < size; from += pieceBytes, piece += 1) {
      const bytes = Math.min(pieceBytes, size - from);
      const header = Buffer.alloc(blockBytes);
      writeHeader(header, memberName(member.name, size > pieceBytes ? piece : null), bytes, 0);
      yield header;
      for await (const chunk of read(member, from, bytes)) {
        throwIfAborted(signal);
        await check.read(chunk);
        yield chunk;
      }
      yield Buffer.alloc(paddingOf(bytes));
    }
    await check.finish();
  }
  yield Buffer.alloc(endBytes);
}

async function* read({ path, stat }: Member, from: number, bytes: number): AsyncGenerator<Buffer> {
  if (bytes === 0) return;
  await using file = await open(path, 'r');
  const now = await file.stat();
  if (now.ino !== stat.ino || now.size !== stat.size || now.mtimeMs !== stat.mtimeMs)
    throw new PgproofError('object-damaged', `'${printable(path)}' changed while the dump was read`, {
      facts: { path },
    });
  const end = from + bytes - 1;
  for await (const chunk of file.createReadStream({ start: from, end, highWaterMark: 1 << 20, autoClose: false }))
    yield chunk as Buffer;
}

async function memberAt(folder: string, name: string): Promise<Member> {
  const path = join(folder, name);
  const stat = await lstat(path);
  if (stat.isFile()) return { path, name, stat };
  throw new PgproofError('file-refused', `'${printable(path)}' is no ordinary file`, { facts: { path } });
}

function noDump(path: string): PgproofError {
  return new PgproofError(
    'file-unknown',
    `'${printable(path)}' is a folder, and no directory dump: it has no toc.dat`,
    {
      facts: { path, form: 'a folder' },
      hint: 'Give one dump: a file, or the folder that pg_dump -Fd made.',
    },
  );
}
