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
  const follower = new Follower(tool, watch, options);
  try {
    for (let piece = await follower.next(); piece !== undefined; piece = await follower.next())
      await follower.ship(piece);
  } finally {
    follower.end();
  }
}

class Follower {
  readonly #folder: GrowingFolder;
  readonly #brake: Brake;
  readonly #watch: StallWatch;
  readonly #options: FollowOptions;
  readonly #ended: Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  #hasEnded = false;
  #failure: unknown;

  constructor(tool: ToolProcess, watch: StallWatch, options: FollowOptions) {
    this.#folder = new GrowingFolder(options.folder, tool.pid);
    this.#brake = new Brake(tool);
    this.#watch = watch;
    this.#options = options;
    this.#ended = tool.ended.finally(() => {
      this.#hasEnded = true;
    });
    this.#ended.catch(() => {}); // `next` tells
    // Also while a piece is shipped: pg_dump goes on meanwhile, and may have to be stopped.
    this.#timer = setInterval(() => this.#lookInBetween(), lookMs);
    watch.signal.addEventListener('abort', this.#release, { once: true });
  }

  /** Waits until there is something to ship; undefined once pg_dump has ended and all of it was shipped. */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      throwIfAborted(this.#watch.signal);
      const isOver = this.#hasEnded;
      if (isOver) {
        await this.#ended; // a dump that broke off is explained by the tool
        this.#look();
      }
      const piece = choosePiece(this.#folder.files, this.#brake.isOn);
      if (piece !== undefined || isOver) return piece;
      await Promise.race([sleep(lookMs), this.#ended.catch(() => {})]);
    }
  }

  async ship(piece: Piece): Promise<void> {
    const { file, bytes, isLast } = piece;
    this.#watch.waitsFor('repository');
    await this.#options.ship(piece);
    file.shippedBytes += bytes;
    file.pieces += 1;
    if (isLast && file.name !== 'toc.dat') this.#folder.forget(file);
    this.#watch.waitsFor(this.#brake.isOn ? 'repository' : 'server');
  }

  end(): void {
    clearInterval(this.#timer);
    this.#release();
    this.#watch.signal.removeEventListener('abort', this.#release);
  }

  /** A stopped process does not hear that it shall end. */
  readonly #release = (): void => this.#brake.release();

  #lookInBetween(): void {
    try {
      if (!this.#hasEnded) this.#look();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #look(): void {
    const { windowBytes, grown } = this.#options;
    const bytes = this.#folder.look(this.#hasEnded);
    if (bytes > 0) grown(bytes);
    if (bytes > 0 && !this.#brake.isOn) this.#watch.waitsFor('server');
    const { unshippedBytes } = this.#folder;
    if (unshippedBytes > windowBytes) this.#brake.pull();
    else if (unshippedBytes < windowBytes / 2) this.#brake.release();
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
