import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasCode, PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import { type Created, createFile } from '../../storage/file/create.ts';

/** Hands on a stream's bytes, and may say that all of them were wrong and come again. */
export type Reading = (take: (chunk: Buffer) => Promise<void>, again: () => Promise<void>) => Promise<void>;

/**
 * Writes what is read into one new file: whole and durable when this returns, until then under another name, and never in place of
 * a file that is there.
 * @param through what the bytes pass on their way; asked anew each time.
 * @returns size and SHA-256 of the file.
 * @throws {PgproofError} `file-unwritable` where something is there already; `no-space`; what reading throws.
 */
export async function writeNew(
  folder: string,
  name: string,
  reading: Reading,
  run: Run,
  through: () => Transform[] = () => [],
): Promise<Created> {
  let file = new Growing(folder, name, run, through());
  const again = async (): Promise<void> => {
    await file.abandon();
    file = new Growing(folder, name, run, through());
  };
  try {
    await reading((chunk) => file.write(chunk), again);
    return await file.finish();
  } catch (error) {
    await file.abandon();
    throw hasCode(error, 'object-exists') ? thereAlready(join(folder, name)) : error;
  }
}

class Growing {
  readonly #head: PassThrough;
  readonly #stop = new AbortController();
  readonly #created: Promise<Created>;

  constructor(folder: string, name: string, { signal }: Run, through: readonly Transform[]) {
    this.#head = new PassThrough({ highWaterMark: 1024 * 1024 });
    const tail = through.at(-1) ?? this.#head;
    const stopped = AbortSignal.any([signal, this.#stop.signal]);
    this.#created = createFile(folder, name, tail, new Set(), stopped);
    // What goes wrong on the way ends the tail, and so the file.
    if (through.length > 0) pipeline([this.#head, ...through], { signal: stopped }).catch(() => {});
    this.#head.on('error', () => {}); // its writers are told by `#created`
    this.#created.catch((error: Error) => this.#head.destroy(error));
  }

  async write(chunk: Buffer): Promise<void> {
    if (this.#head.destroyed) await this.#created; // says why
    if (this.#head.write(chunk)) return;
    // It settles here only by failing: nobody has ended the stream yet.
    await Promise.race([once(this.#head, 'drain'), this.#created]);
  }

  finish(): Promise<Created> {
    this.#head.end();
    return this.#created;
  }

  async abandon(): Promise<void> {
    this.#stop.abort(new PgproofError('cancelled', 'nothing of this file is kept'));
    this.#head.destroy();
    await this.#created.catch(() => {}); // that it fails is what was wanted
  }
}

export function thereAlready(path: string): PgproofError {
  return new PgproofError('file-unwritable', `'${path}' is there already`, {
    facts: { path },
    hint: 'Nothing was overwritten. Move it away, or choose another folder.',
  });
}
