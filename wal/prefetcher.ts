import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { release } from '../codec/memory.ts';
import { abortReason } from '../core/abort.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { FetchFolder } from './fetch-folder.ts';
import type { ArchivedSegment, Inventory } from './inventory.ts';
import { tryWatch } from './watch.ts';

export type PrefetcherParts = {
  inventory: Inventory;
  /** Text of each history file, by file name. */
  histories: ReadonlyMap<string, string>;
  folder: FetchFolder;
  signal: AbortSignal;
  patienceMs: number;
  attemptMs: number;
  /** Answers a segment's bytes once they were checked; they are the prefetcher's own, and given back. */
  read(segment: ArchivedSegment, signal: AbortSignal): Promise<Uint8Array>;
};

type Slot = 'fetching' | 'ready' | PgproofError;

const mib = 1024 * 1024;

/** Keeps the segments that recovery will ask for next in the folder. */
export class Prefetcher {
  readonly #parts: PrefetcherParts;
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #ahead: number;
  readonly #parallel: number;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  /** By index: fetched just now, lying ready, or not to be had. What recovery took is here no longer. */
  readonly #slots = new Map<number, Slot>();
  /** Since when recovery waits for a segment, in ms; by index. */
  readonly #wantedSince = new Map<number, number>();
  readonly #fetching = new Set<Promise<void>>();
  #crashed: PgproofError | null = null;
  #cursor = 0;
  #wake: () => void = () => {};

  constructor(parts: PrefetcherParts) {
    const { segments, segmentBytes } = parts.inventory;
    this.#parts = parts;
    this.#indexes = new Map(segments.map(({ name }, index) => [name, index]));
    this.#ahead = between(2, Math.floor((256 * mib) / segmentBytes), 16);
    this.#parallel = between(1, Math.floor((64 * mib) / segmentBytes), 4);
    this.#signal = AbortSignal.any([parts.signal, this.#ended.signal]);
    this.#signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  end(): void {
    this.#ended.abort();
  }

  /** Never rejects: restore_command learns of a failure by a file, and we by `failure`. */
  async run(): Promise<void> {
    const { root, wanted, ready } = this.#parts.folder;
    // They only save time: #news looks again in any case.
    const watchers = [wanted, ready].map((path) => tryWatch(path, () => this.#wake()));
    try {
      while (!this.#signal.aborted) {
        const news = this.#news();
        await this.#serve();
        await news;
      }
    } catch (error) {
      if (!this.#signal.aborted) this.#crashed = asPgproofError(error);
    } finally {
      this.#ended.abort();
      for (const watcher of watchers) watcher?.close();
      await Promise.allSettled(this.#fetching);
      // This process goes on, and a restore_command that believes in us would wait as long as it may.
      await rm(join(root, 'prefetcher'), { force: true });
    }
  }

  /** The error of the first segment that recovery waits for and cannot have. */
  async failure(): Promise<PgproofError | null> {
    if (this.#crashed !== null) return this.#crashed;
    const wanted = await readdir(this.#parts.folder.wanted);
    const errors = wanted.sort().map((name) => this.#slots.get(this.#indexes.get(name) ?? -1));
    return errors.find((slot) => slot instanceof PgproofError) ?? null;
  }

  async #serve(): Promise<void> {
    // Noted before the folder is read: what is put there meanwhile is not missing from it.
    const lay = this.#indexesReady();
    const lie = new Set(await readdir(this.#parts.folder.ready));
    for (const index of lay) if (!lie.has(this.#segment(index).name)) this.#taken(index);
    for (const name of await readdir(this.#parts.folder.wanted)) if (!lie.has(name)) await this.#wanted(name);
    for (const index of this.#indexesReady()) if (!this.#near(index)) await this.#drop(index);
    for (let index = this.#cursor; this.#near(index) && this.#fetching.size < this.#parallel; index += 1) {
      if (!this.#slots.has(index)) this.#begin(index);
    }
  }

  #indexesReady(): number[] {
    return [...this.#slots].flatMap(([index, slot]) => (slot === 'ready' ? [index] : []));
  }

  #taken(index: number): void {
    this.#slots.delete(index);
    this.#wantedSince.delete(index);
    this.#cursor = Math.max(this.#cursor, index + 1);
  }

  async #wanted(name: string): Promise<void> {
    const history = this.#parts.histories.get(name);
    if (history !== undefined) return this.#publish(name, Buffer.from(history));
    const index = this.#indexes.get(name);
    if (index === undefined || this.#slots.get(index) === 'ready') return;
    if (!this.#wantedSince.has(index)) this.#wantedSince.set(index, Date.now());
    // A recovery that begins again asks for a segment that it took before.
    if (!this.#slots.has(index)) this.#cursor = index;
  }

  #near(index: number): boolean {
    return index >= this.#cursor && index < this.#cursor + this.#ahead && index < this.#parts.inventory.segments.length;
  }

  async #drop(index: number): Promise<void> {
    this.#slots.delete(index);
    await rm(join(this.#parts.folder.ready, this.#segment(index).name), { force: true });
  }

  #begin(index: number): void {
    this.#slots.set(index, 'fetching');
    const fetching = this.#fetch(index).finally(() => {
      this.#fetching.delete(fetching);
      this.#wake();
    });
    this.#fetching.add(fetching);
  }

  /** Tries until it is there: an outage ends the recovery only once recovery itself has waited for it long enough. */
  async #fetch(index: number): Promise<void> {
    const segment = this.#segment(index);
    for (let delayMs = 100; !this.#signal.aborted; delayMs = Math.min(delayMs * 2, 5000)) {
      try {
        const bytes = await this.#read(segment);
        await this.#publish(segment.name, bytes);
        release(bytes);
        this.#slots.set(index, 'ready');
        return;
      } catch (cause) {
        const error = asPgproofError(cause);
        if (this.#signal.aborted) return;
        if (error.permanent || this.#waitedLongEnough(index)) return this.#fail(index, error);
      }
      await pause(delayMs, this.#signal);
    }
  }

  /** Also a store that ignores its signal must not hold a slot for ever. */
  async #read(segment: ArchivedSegment): Promise<Uint8Array> {
    const attempt = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#parts.attemptMs)]);
    const late = new Promise<never>((_, reject) => {
      attempt.addEventListener('abort', () => reject(abortReason(attempt)), { once: true });
    });
    const reading = this.#parts.read(segment, attempt);
    reading.catch(() => {}); // when it loses the race, its own end is of no interest any more
    return Promise.race([reading, late]);
  }

  #waitedLongEnough(index: number): boolean {
    const since = this.#wantedSince.get(index);
    return since !== undefined && Date.now() - since >= this.#parts.patienceMs;
  }

  async #fail(index: number, error: PgproofError): Promise<void> {
    this.#slots.set(index, error);
    const { name } = this.#segment(index);
    await this.#place(this.#parts.folder.failed, name, Buffer.from(`${error.code}: ${error.message}\n`));
  }

  /** The request stays: restore_command takes it back itself. Removed here, the next one for the same file could go with it. */
  #publish(name: string, bytes: Uint8Array): Promise<void> {
    return this.#place(this.#parts.folder.ready, name, bytes);
  }

  /** By rename: whoever sees the name sees the whole file. */
  async #place(folder: string, name: string, bytes: Uint8Array): Promise<void> {
    const incoming = join(this.#parts.folder.incoming, name);
    try {
      await writeFile(incoming, bytes, { mode: 0o600 });
      await rename(incoming, join(folder, name));
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code !== 'ENOSPC' && code !== 'EDQUOT') throw cause;
      throw new PgproofError('no-space', `there is no space for WAL in '${folder}'`, {
        facts: { path: folder, segment: name },
        cause,
      });
    }
  }

  #segment(index: number): ArchivedSegment {
    return this.#parts.inventory.segments[index] as ArchivedSegment;
  }

  /** Settles when something happened in the folder, or a moment later: watching may miss events. */
  #news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 200);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#signal.aborted) this.#wake();
    });
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

function between(least: number, value: number, most: number): number {
  return Math.min(Math.max(least, value), most);
}
