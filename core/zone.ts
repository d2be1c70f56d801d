/* Clocks on the wall, by the runtime's IANA database. */

/** Minutes that the clocks of a zone are ahead of UTC. @throws {RangeError} for a zone that does not exist. */
export function offsetMinutes(zone: string, at: number): number {
  const part = formatter(zone)
    .formatToParts(at)
    .find(({ type }) => type === 'timeZoneName');
  const match = /GMT(?:([+-])(\d{2}):(\d{2}))?/.exec(part?.value ?? '');
  if (match === null) throw new RangeError(`the zone '${zone}' has no whole offset`);
  return match[1] === undefined ? 0 : (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
}

/**
 * When the clocks of a zone show a time: never in the hour that is skipped, twice in the hour that comes twice.
 * @param wall that time, in milliseconds since 1970 as if it were UTC.
 * @returns milliseconds since 1970, sorted.
 */
export function instantsAt(zone: string, wall: number): number[] {
  const offsets = new Set([-86_400_000, 0, 86_400_000].map((shift) => offsetMinutes(zone, wall + shift)));
  return [...offsets]
    .map((minutes) => wall - minutes * 60_000)
    .filter((at) => wallAt(zone, at) === wall)
    .sort((one, other) => one - other);
}

/** What the clocks of a zone show, in milliseconds since 1970 as if it were UTC. */
export function wallAt(zone: string, at: number): number {
  return at + offsetMinutes(zone, at) * 60_000;
}

/** Making one takes longer than asking it a hundred times. */
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  formatters.set(timeZone, made);
  return made;
}
