import type { TransformOptions } from 'node:stream';
import { constants, createZstdCompress, type ZstdOptions } from 'node:zlib';
import { frameBytes, storedBound } from './frames.ts';
import { release } from './memory.ts';

/*
 * zstd contexts that live as long as there is work. Against a call of `zstdCompress` for each frame they save a fifth of the CPU
 * time: that one makes a context each time, and feeds it in two steps, so that zstd copies all of its input
 * (docs/decisions/110-kept-compressors.md).
 */

/** Room for two frames at least: zstd compresses straight into it only where the worst case fits. */
const outputBytes = 2 * storedBound(frameBytes);
/** So long they wait for more work; each holds 10 MB. */
const idleMs = 5000;

class Compressor {
  readonly level: number;
  readonly #stream;
  /** What zstd has last written into: one memory after the other, each until it is full. */
  #output: Buffer | undefined;

  constructor(level: number) {
    this.level = level;
    const options: ZstdOptions & Pick<TransformOptions, 'readableHighWaterMark'> = {
      // Every write is a frame of its own; given at once, its size is known and stated.
      flush: constants.ZSTD_e_end,
      chunkSize: outputBytes,
      // A frame is taken out before the next one begins, and must not be held back for being large.
      readableHighWaterMark: 2 * outputBytes,
      params: {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_contentSizeFlag]: 1,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    };
    this.#stream = createZstdCompress(options);
  }

  compress(plain: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#stream.once('error', reject);
      this.#stream.write(plain, (error) => {
        this.#stream.off('error', reject);
        if (error) reject(error);
        else resolve(this.#taken(this.#stream.read() as Buffer));
      });
    });
  }

  /** A copy, in memory of its own: so it can be given back when it was used, and the output when zstd has left it. */
  #taken(output: Buffer): Buffer {
    if (this.#output !== undefined && this.#output.buffer !== output.buffer) release(this.#output);
    this.#output = output;
    const stored = Buffer.allocUnsafeSlow(output.length);
    stored.set(output);
    return stored;
  }

  close(): void {
    this.#stream.destroy();
  }
}

const idle: Compressor[] = [];
let closing: NodeJS.Timeout | undefined;

/** One frame, in memory of its own. @param plain at most `frameBytes`; not to be changed until the answer is there. */
export async function compressKept(plain: Uint8Array, level: number): Promise<Buffer> {
  const at = idle.findIndex((each) => each.level === level);
  const compressor = at === -1 ? new Compressor(level) : (idle.splice(at, 1)[0] as Compressor);
  try {
    const stored = await compressor.compress(plain);
    rest(compressor);
    return stored;
  } catch (error) {
    compressor.close();
    throw error;
  }
}

function rest(compressor: Compressor): void {
  idle.push(compressor);
  closing ??= setTimeout(closeIdle, idleMs).unref();
  closing.refresh();
}

function closeIdle(): void {
  closing = undefined;
  for (const each of idle.splice(0)) each.close();
}
