import { type FileHandle, open, rm } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { execa } from 'execa';
import { PgproofError } from '../core/errors.ts';

/** As much as one frame of zstd takes. */
const chunkBytes = 4 << 20;
/** Filled while others are taken away. */
const chunksAhead = 4;

export type PipeMessage = { slot: number; bytes: number } | 'open';

/** What the thread works on. `taken[slot]` is 1 from when a chunk is full until its bytes were used. */
export type PipeThreadData = { path: string; memory: SharedArrayBuffer; taken: Int32Array<SharedArrayBuffer> };

/**
 * A tool's output, emptied by a thread of its own into memory that is used again and again. A pipe gives 64 KB at a time: as buffers of
 * the event loop those cost a worker with its large heap more in garbage collection than compressing them does
 * (docs/decisions/050-base-backup-stream.md).
 */
export class Pipe {
  readonly #path: string;
  readonly #memory = new SharedArrayBuffer(chunksAhead * chunkBytes);
  readonly #taken = new Int32Array(new SharedArrayBuffer(chunksAhead * Int32Array.BYTES_PER_ELEMENT));
  readonly #ownEnd: FileHandle;
  readonly #thread: Worker;
  readonly #arrived: PipeMessage[] = [];
  #failure: Error | undefined;
  #wake: () => void = () => {};

  private constructor(path: string, ownEnd: FileHandle) {
    this.#path = path;
    this.#ownEnd = ownEnd;
    const workerData: PipeThreadData = { path, memory: this.#memory, taken: this.#taken };
    this.#thread = new Worker(new URL(import.meta.url.replace(/pipe(\.\w+)$/, 'pipe-thread$1')), { workerData });
    this.#thread.on('message', (message: PipeMessage) => {
      this.#arrived.push(message);
      this.#wake();
    });
    this.#thread.on('error', (error: Error) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** @param path where the pipe is made, with mode 0600; it is gone once both ends are open. */
  static async make(path: string, signal: AbortSignal): Promise<Pipe> {
    await execa('mkfifo', ['-m', '600', path], { cancelSignal: signal, timeout: 10_000 });
    // Open for both, so that neither end waits for the other.
    return new Pipe(path, await open(path, 'r+'));
  }

  /** What the tool gets as its standard output. */
  get fd(): number {
    return this.#ownEnd.fd;
  }

  /**
   * Its bytes, in order, until whoever has the other end closes it. Each chunk may be used until the next one is asked for. Call it once the
   * tool has been started.
   */
  async *chunks(): AsyncGenerator<Buffer> {
    await this.#next();
    // Now the tool's is the only end to write to: when it ends, so does what is read.
    await this.#ownEnd.close();
    await rm(this.#path);
    for (let bytes: number = chunkBytes; bytes === chunkBytes; ) {
      const message = await this.#next();
      if (message === 'open') throw new PgproofError('internal', 'a pipe was opened twice');
      ({ bytes } = message);
      if (bytes > 0) yield Buffer.from(this.#memory, message.slot * chunkBytes, bytes);
      Atomics.store(this.#taken, message.slot, 0);
      Atomics.notify(this.#taken, message.slot);
    }
  }

  /** Call it when the tool has ended: a thread that waits for a pipe cannot be stopped. */
  async close(): Promise<void> {
    // First its name: a thread that has not opened it yet would wait for ever for somebody who writes.
    await rm(this.#path, { force: true });
    await this.#ownEnd.close();
    await this.#thread.terminate();
  }

  async #next(): Promise<PipeMessage> {
    for (;;) {
      const message = this.#arrived.shift();
      if (message !== undefined) return message;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
