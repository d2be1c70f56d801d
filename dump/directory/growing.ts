import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openFiles, processesOf } from './group.ts';

/** A file that pg_dump writes, and how much of it was shipped. */
export type GrowingFile = {
  name: string;
  path: string;
  bytes: number;
  shippedBytes: number;
  /** Pieces that were shipped. */
  pieces: number;
  /** Nobody writes it any more. */
  isWhole: boolean;
};

/**
 * What lies in the folder that pg_dump writes to. pg_dump opens each file once, and its workers are all there before it opens the first:
 * so a file that none of them has open any more is whole.
 */
export class GrowingFolder {
  readonly files = new Map<string, GrowingFile>();
  readonly #folder: string;
  readonly #group: number;
  #pids: readonly number[] | undefined;

  /** @param group of processes that write to it. */
  constructor(folder: string, group: number) {
    this.#folder = folder;
    this.#group = group;
  }

  /**
   * @param hasEnded pg_dump has: nothing is written any more.
   * @returns by how many bytes it has grown.
   */
  look(hasEnded: boolean): number {
    const known = [...this.files.values()].filter(({ isWhole }) => !isWhole);
    const fresh = this.#listed().filter((name) => !this.files.has(name));
    for (const name of fresh) {
      const path = join(this.#folder, name);
      this.files.set(name, { name, path, bytes: 0, shippedBytes: 0, pieces: 0, isWhole: hasEnded });
    }
    if (this.files.size > 0) this.#pids ??= processesOf(this.#group);
    const open = hasEnded ? new Set<string>() : openFiles(this.#pids ?? []);
    // A file has its name a moment before its writer has it open: one that was not here at the last look, or is empty, may be about to grow.
    for (const file of known) file.isWhole = hasEnded || (file.bytes > 0 && !open.has(file.path));
    // Sizes last: a whole file has the size that it keeps.
    return [...known, ...fresh.map((name) => this.files.get(name) as GrowingFile)].reduce((grown, file) => {
      const before = file.bytes;
      file.bytes = statSync(file.path).size;
      return grown + file.bytes - before;
    }, 0);
  }

  /** It was shipped and removed. */
  forget({ name }: GrowingFile): void {
    this.files.delete(name);
  }

  get unshippedBytes(): number {
    let bytes = 0;
    for (const file of this.files.values()) bytes += file.bytes - file.shippedBytes;
    return bytes;
  }

  #listed(): string[] {
    try {
      return readdirSync(this.#folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // pg_dump has not made it yet
      throw error;
    }
  }
}
