import { promised } from './suffixes.ts';

/** What a file's name says of the dump in it; null where it does not. */
export type NameFacts = {
  database: string | null;
  /** What the script's clock showed, in milliseconds since 1970 as if it were UTC; and whether it was UTC. */
  time: { wall: number; isUtc: boolean } | null;
  host: string | null;
  tier: string | null;
};

const nothing: NameFacts = { database: null, time: null, host: null, tier: null };

/** `full_20260114_120000.sql.gz.enc`, in the script's own time zone; `shop_20260114T120000Z_db-7.dump`, `…_globals.sql`. */
export function readName(name: string): NameFacts {
  const { stem } = promised(name);
  const tiered = /^(full|incremental|remote)_(\d{8})_(\d{6})$/.exec(stem);
  if (tiered !== null) {
    const [, tier, day, clock] = tiered as unknown as string[];
    const wall = wallOf(day as string, clock as string);
    return wall === null ? nothing : { ...nothing, tier: tier as string, time: { wall, isUtc: false } };
  }
  const planA = /^(.+)_(\d{8})T(\d{6})Z_(.+?)(?:_globals)?$/s.exec(stem);
  if (planA === null) return nothing;
  const [, database, day, clock, host] = planA as unknown as [string, string, string, string, string];
  const wall = wallOf(day, clock);
  return wall === null ? nothing : { database, time: { wall, isUtc: true }, host, tier: null };
}

/** The globals that were made beside a dump. */
export const globalsNameOf = (name: string): string => `${promised(name).stem}_globals.sql`;

function wallOf(day: string, clock: string): number | null {
  const pair = (text: string, at: number) => text.slice(at, at + 2);
  const iso = `${day.slice(0, 4)}-${pair(day, 4)}-${pair(day, 6)}T${pair(clock, 0)}:${pair(clock, 2)}:${pair(clock, 4)}.000Z`;
  const wall = Date.parse(iso);
  return Number.isNaN(wall) || new Date(wall).toISOString() !== iso ? null : wall;
}
