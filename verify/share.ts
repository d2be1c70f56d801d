import { createHash } from 'node:crypto';

/** Which objects' bytes a run reads: those of one slot. All of them where there is one slot. */
export type Rotation = { slots: number; slot: number };

/** The rotation of an earlier run, and whether it read all of its share. */
export type EarlierRun = { rotation: Rotation | null; complete: boolean };

/**
 * The slot of this run: the one behind the newest run's with as many slots, or the same again where that run was cut short.
 * So as many runs as there are slots read every object once.
 * @param percent above 0, at most 100; no run reads a larger share.
 * @param earlier of this repository, newest first.
 */
export function nextRotation(percent: number, earlier: readonly EarlierRun[]): Rotation | null {
  const slots = Math.ceil(100 / percent);
  if (slots === 1) return null;
  const last = earlier.find(({ rotation }) => rotation?.slots === slots);
  if (last?.rotation == null) return { slots, slot: 0 };
  return { slots, slot: last.complete ? (last.rotation.slot + 1) % slots : last.rotation.slot };
}

/** An object stays in its slot for as long as it exists, whatever comes and goes beside it. */
export function isInShare(key: string, rotation: Rotation | null): boolean {
  if (rotation === null) return true;
  return createHash('sha256').update(key).digest().readUInt32BE(0) % rotation.slots === rotation.slot;
}
