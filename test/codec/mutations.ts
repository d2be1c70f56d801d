import { noise } from './support.ts';

/** A way to damage bytes, always the same for a seed; undefined where it would change nothing. */
export type Mutation = { what: string; damaged: Buffer };

/** Numbers in [0, 1), the same for a seed. */
function drawing(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Flips, cuts, removals, insertions, swaps, repetitions and appendices at drawn places, every other one at a border of blocks of
 * `grain` bytes behind `from`: what slips through a format does so at its borders.
 */
export function* mutations(
  stored: Buffer,
  { from, grain, count, seed }: { from: number; grain: number; count: number; seed: number },
): Generator<Mutation> {
  const draw = drawing(seed);
  const below = (limit: number) => Math.floor(draw() * limit);
  const place = () => {
    const blocks = Math.floor((stored.length - from) / grain);
    return draw() < 0.5 ? below(stored.length + 1) : from + below(blocks + 1) * grain;
  };
  const length = () => (draw() < 0.5 ? grain * (1 + below(3)) : 1 + below(stored.length));
  const range = () => {
    const at = Math.min(place(), stored.length - 1);
    return { at, end: Math.min(stored.length, at + length()) };
  };
  const kinds: (() => Mutation)[] = [
    () => {
      const damaged = Buffer.from(stored);
      const at = below(stored.length);
      damaged[at] = (damaged[at] as number) ^ (1 << below(8));
      return { what: `a bit at ${at}`, damaged };
    },
    () => {
      const at = Math.min(place(), stored.length - 1);
      return { what: `cut at ${at}`, damaged: stored.subarray(0, at) };
    },
    () => {
      const { at, end } = range();
      return {
        what: `without ${at} to ${end}`,
        damaged: Buffer.concat([stored.subarray(0, at), stored.subarray(end)]),
      };
    },
    () => {
      const { at, end } = range();
      const parts = [stored.subarray(0, end), stored.subarray(at, end), stored.subarray(end)];
      return { what: `${at} to ${end} twice`, damaged: Buffer.concat(parts) };
    },
    () => {
      const { at, end } = range();
      const middle = Math.min(end, at + Math.max(1, Math.min(grain, (end - at) >> 1)));
      const parts = [
        stored.subarray(0, at),
        stored.subarray(middle, end),
        stored.subarray(at, middle),
        stored.subarray(end),
      ];
      return { what: `${at} to ${middle} behind ${end}`, damaged: Buffer.concat(parts) };
    },
    () => {
      const extra = noise(length(), 1 + below(1000));
      return { what: `${extra.length} bytes behind`, damaged: Buffer.concat([stored, extra]) };
    },
    () => {
      const { at, end } = range();
      const damaged = Buffer.from(stored);
      damaged.fill(0, at, end);
      return { what: `${at} to ${end} zero`, damaged };
    },
    () => {
      const at = place();
      const parts = [stored.subarray(0, at), noise(length(), 1 + below(1000)), stored.subarray(at)];
      return { what: `bytes put in at ${at}`, damaged: Buffer.concat(parts) };
    },
    () => ({ what: 'all of it twice', damaged: Buffer.concat([stored, stored]) }),
  ];
  for (let turn = 0; turn < count; turn += 1) {
    const { what, damaged } = (kinds[turn % kinds.length] as () => Mutation)();
    if (!damaged.equals(stored)) yield { what: `${what} (turn ${turn} of seed ${seed})`, damaged };
  }
}
