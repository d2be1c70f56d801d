/**
 * Gives the memory of a buffer back at once. Left to the garbage collector it counts as V8's own, which answers every 32 MB of such memory with a full
 * collection: in a worker with its large heap that is dearer than compressing them (docs/decisions/192-memory-is-given-back.md).
 * @param bytes of which, and of all that shares their memory, nobody makes use any more: they have length 0 from now on. Small ones, which
 * share a pool, are left alone.
 */
export function release({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}
