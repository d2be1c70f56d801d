import type { SegmentName } from '../core/segment.ts';
import type { EraRecord } from '../repository/record.ts';
import type { Copying } from './copying.ts';
import { copyHistories } from './histories.ts';
import { copyWal } from './wal.ts';

/** Which segments; undefined: all. */
type Wanted = ((segment: SegmentName) => boolean) | undefined;

/** History files before the WAL that they adopt. */
export async function copyArchive(copying: Copying, era: EraRecord, wanted?: Wanted): Promise<void> {
  await copyHistories(copying, era);
  await copyWal(copying, era, wanted);
}

export const noWal = async (): Promise<void> => undefined;

/** Does `work` when it is asked to and the last time is so long ago; whoever asks meanwhile does not wait. */
export function every(seconds: number, work: () => Promise<void>): () => Promise<void> {
  let last = performance.now();
  let isWorking = false;
  return async () => {
    if (isWorking || performance.now() - last < seconds * 1000) return;
    isWorking = true;
    try {
      await work();
    } finally {
      isWorking = false;
      last = performance.now();
    }
  };
}
