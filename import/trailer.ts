import type { DumpFormat, DumpKind } from '../core/dump.ts';
import { PgproofError } from '../core/errors.ts';
import { TarReader } from '../postgres/tar/reader.ts';
import { named } from './file.ts';

type What = { path: string; format: DumpFormat; kind: DumpKind };
type End = { take(chunk: Buffer): void; finish(): void };

/**
 * The same bytes, and an error at their end unless it is the end of a whole dump.
 * @throws {PgproofError} `object-damaged`, `tar-invalid`, with the path.
 */
export async function* toItsEnd(bytes: AsyncIterable<Buffer>, what: What): AsyncGenerator<Buffer> {
  const end = endOf(what);
  try {
    for await (const chunk of bytes) {
      end.take(chunk);
      yield chunk;
    }
    end.finish();
  } catch (error) {
    throw named(what.path, error);
  }
}

function endOf({ format, kind }: What): End {
  if (format === 'plain') return new Trailer(kind === 'database' ? 'database dump' : 'database cluster dump');
  if (format === 'tar') return new TarEnd();
  return { take: () => {}, finish: () => {} };
}

const tailBytes = 1024;

/** SQL ends in a comment; newer versions take back a restriction of psql behind it. */
class Trailer implements End {
  readonly #words: string;
  #tail = Buffer.alloc(0);

  constructor(words: string) {
    this.#words = words;
  }

  take(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-tailBytes)]).subarray(-tailBytes);
  }

  finish(): void {
    const trailer = new RegExp(`\n-- PostgreSQL ${this.#words} complete\\s+--\\s+(?:\\\\unrestrict \\w+\\s+)?$`);
    if (!trailer.test(this.#tail.toString('latin1')))
      throw new PgproofError('object-damaged', `it does not end in 'PostgreSQL ${this.#words} complete'`);
  }
}

class TarEnd implements End {
  readonly #reader = new TarReader();

  take(chunk: Buffer): void {
    for (const _ of this.#reader.read(chunk)); // what is in it is pg_restore's
  }

  finish(): void {
    this.#reader.finish();
  }
}
