import { dirname, join } from 'node:path';
import type { DumpSource } from '../dump/restore/source.ts';
import { writtenChecksum } from './checksum.ts';
import type { FileSource } from './file-source.ts';
import { globalsNameOf, readName } from './names.ts';
import { openSource, type SourceOptions } from './source.ts';

/**
 * A file that somebody else's script left, as something to restore from; with the globals that lie beside it, and its checksum where
 * one was written down.
 * @throws {PgproofError} as `openSource`; `object-damaged` where `<file>.sha256` is of another file.
 */
export async function fileDumpSource(path: string, options: SourceOptions = {}): Promise<DumpSource> {
  const file = await openSource(path, options);
  const sha256 = file.format === 'directory' ? null : await writtenChecksum(file.path);
  const globals = await globalsBeside(file, options);
  const { serverVersion, toolVersion, encoding, database } = file.head;
  return {
    what: file.path,
    kind: file.kind,
    format: file.format,
    content: 'all',
    database: database ?? readName(file.name).database,
    server:
      serverVersion === null
        ? null
        : {
            major: Number.parseInt(serverVersion, 10) || null,
            version: serverVersion,
            systemId: null,
            inRecovery: false,
            encoding,
            collate: null,
            ctype: null,
            owner: null,
          },
    toolVersion,
    entries: null,
    plainBytes: file.layers.length === 0 && file.format !== 'directory' ? file.storedBytes : null,
    globals: globals !== null,
    trusted: false,
    notes: file.disagreement === null ? [] : [file.disagreement],
    read: async (stream, take, { signal, progress }) => {
      const from = stream === 'dump' ? file : globals;
      if (from === null) throw new Error(`there are no globals beside '${path}'`);
      let doneBytes = 0;
      for await (const chunk of from.open(signal, stream === 'dump' ? sha256 : null)) {
        await take(chunk as Buffer);
        doneBytes += (chunk as Buffer).length;
        progress({ phase: 'fetch', doneBytes });
      }
    },
  };
}

async function globalsBeside({ path, name, kind }: FileSource, options: SourceOptions): Promise<FileSource | null> {
  if (kind !== 'database') return null;
  const beside = join(dirname(path), globalsNameOf(name));
  return openSource(beside, options).catch((error: { cause?: { code?: string } }) => {
    if (error.cause?.code === 'ENOENT') return null;
    throw error;
  });
}
