import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { PipeMessage, PipeThreadData } from './pipe.ts';

/* The thread of pipe.ts: reads until the other end is closed, never further ahead than there is memory. */

const { path, memory, taken } = workerData as PipeThreadData;
const chunkBytes = memory.byteLength / taken.length;
const tell = (message: PipeMessage) => parentPort?.postMessage(message);

const fd = openSync(path, 'r');
tell('open');
const all = Buffer.from(memory);
let bytes = chunkBytes;
for (let slot = 0; bytes === chunkBytes; slot = (slot + 1) % taken.length) {
  Atomics.wait(taken, slot, 1);
  bytes = fill(slot * chunkBytes);
  Atomics.store(taken, slot, 1);
  tell({ slot, bytes });
}
closeSync(fd);

/** @returns fewer bytes than a chunk at the end only. */
function fill(at: number): number {
  let filled = 0;
  for (let read = 1; filled < chunkBytes && read > 0; filled += read)
    read = readSync(fd, all, at + filled, chunkBytes - filled, null);
  return filled;
}
