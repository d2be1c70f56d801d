import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted } from '../../core/abort.ts';
import type { StallWatch } from '../../parts/stall.ts';
import type { ToolProcess } from '../../postgres/run.ts';
import { choosePiece, type Piece } from './choose.ts';
import { GrowingFolder } from './growing.ts';

const lookMs = 50;

export type FollowOptions = {
  folder: string;
  /** How much may lie there before pg_dump is stopped. */
  windowBytes: number;
  /** Ships the bytes and makes room; what it was told is shipped when it returns. */
  ship(piece: Piece): Promise<void>;
  /** The folder has grown by so much. */
  grown(bytes: number): void;
};

/**
 * Ships what pg_dump writes into a folder, while it writes it. When more than the window lies there, its processes are stopped until half
 * of it is gone.
 * @throws {PgproofError} what pg_dump failed with; what `ship` throws.
 */
export async function followFolder(tool: ToolProcess, watch: StallWatch, options: FollowOptions): Promise<void> {
  const { folder, windowBytes, ship, grown } = options;
  const files = new GrowingFolder(folder, tool.pid);
  const brake = new Brake(tool);
  let hasEnded = false;
  const ended = tool.ended.finally(() => {
    hasEnded = true;
  });
  ended.catch(() => {});
  const look = (): void => {
    const bytes = files.look(hasEnded);
    if (bytes > 0) grown(bytes);
    if (bytes > 0 && !brake.isOn) watch.waitsFor('server');
    if (files.unshippedBytes > windowBytes) brake.pull();
    else if (files.unshippedBytes < windowBytes / 2) brake.release();
  };
  const releaseOnAbort = (): void => brake.release(); // a stopped process does not hear that it shall end
  watch.signal.addEventListener('abort', releaseOnAbort, { once: true });
  let failure: unknown;
  const timer = setInterval(() => {
    try {
      if (!hasEnded) look();
    } catch (error) {
      failure ??= error;
    }
  }, lookMs);
  try {
    for (;;) {
      if (failure !== undefined) throw failure;
      throwIfAborted(watch.signal);
      const wasOver = hasEnded;
      if (wasOver) {
        await ended; // a dump that broke off is explained by the tool
        look();
      }
      const piece = choosePiece(files.files, brake.isOn);
      if (piece === undefined && wasOver) return;
      if (piece === undefined) {
        await Promise.race([sleep(lookMs), ended.catch(() => {})]);
        continue;
      }
      watch.waitsFor('repository');
      await ship(piece);
      piece.file.shippedBytes += piece.bytes;
      piece.file.pieces += 1;
      if (piece.isLast && piece.file.name !== 'toc.dat') files.forget(piece.file);
      watch.waitsFor(brake.isOn ? 'repository' : 'server');
    }
  } finally {
    clearInterval(timer);
    brake.release();
    watch.signal.removeEventListener('abort', releaseOnAbort);
  }
}

/** Stops and continues a tool with all that it has started. */
class Brake {
  readonly #group: number;
  isOn = false;

  constructor({ pid }: ToolProcess) {
    this.#group = pid;
  }

  pull(): void {
    if (!this.isOn) this.isOn = this.#signal('SIGSTOP');
  }

  release(): void {
    if (this.isOn) this.#signal('SIGCONT');
    this.isOn = false;
  }

  #signal(signal: NodeJS.Signals): boolean {
    try {
      return process.kill(-this.#group, signal);
    } catch {
      return false; // it has ended: nothing more is written
    }
  }
}
