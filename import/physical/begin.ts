import { PgproofError } from '../../core/errors.ts';
import { TarReader } from '../../postgres/tar/reader.ts';
import { openFile } from '../file.ts';
import type { Opening } from '../peel.ts';
import { type Label, parseLabel } from './label.ts';
import type { OldBase } from './layout.ts';

/** What stands at the beginning of a base backup's archive: it is told without reading the rest. */
export type Begin = Label & {
  /** The text of backup_label. */
  text: string;
  /** Where each tablespace lay, by its OID. */
  tablespaces: ReadonlyMap<string, string>;
};

/**
 * Reads backup_label and tablespace_map, which PostgreSQL sends first.
 * @throws {PgproofError} `object-missing` where there is no base archive; `tar-invalid`, `object-damaged`, `passphrase-missing`,
 * `passphrase-wrong`, `manifest-invalid`.
 */
export async function readBegin(base: OldBase, opening: Opening, signal: AbortSignal): Promise<Begin> {
  const files = await firstFiles(archiveOf(base, 'base'), opening, signal);
  const text = files.get('backup_label');
  if (text === undefined) {
    throw new PgproofError('manifest-invalid', `'${archiveOf(base, 'base')}' does not begin with a backup_label`, {
      facts: { base: base.name },
      hint: 'It is no archive of pg_basebackup -Ft.',
    });
  }
  return { ...parseLabel(text), text, tablespaces: readMap(files.get('tablespace_map') ?? '') };
}

/** @throws {PgproofError} `object-missing` where the folder has no such archive. */
export function archiveOf(base: OldBase, name: string): string {
  const path = base.archives.get(name);
  if (path !== undefined) return path;
  throw new PgproofError('object-missing', `'${base.folder}' has no ${name}.tar, in whatever form`, {
    facts: { base: base.name, archives: [...base.archives.keys()] },
  });
}

const beginning = ['backup_label', 'tablespace_map'];

async function firstFiles(path: string, opening: Opening, signal: AbortSignal): Promise<Map<string, string>> {
  const file = await openFile(path, opening);
  const reader = new TarReader();
  const files = new Map<string, string>();
  let content: Buffer[] = [];
  for await (const chunk of file.plain(signal)) {
    for (const event of reader.read(chunk)) {
      if (event.kind === 'entry' && !beginning.includes(event.entry.name)) return files;
      if (event.kind === 'entry') content = [];
      else if (event.kind === 'content') content.push(Buffer.from(event.bytes));
      else files.set(event.entry.name, Buffer.concat(content).toString('utf8'));
    }
  }
  reader.finish();
  return files;
}

/** `16385 /srv/fast`, a backslash before what would end the line. Source: xlogrecovery.c, read_tablespace_map. */
function readMap(text: string): Map<string, string> {
  const lines = text.split(/(?<!\\)\n/).map((line) => /^(\d+) (.+)$/s.exec(line));
  return new Map(
    lines.flatMap((match) =>
      match === null ? [] : [[match[1] as string, (match[2] as string).replace(/\\(.)/gs, '$1')]],
    ),
  );
}
