const units = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const;

export const durationPattern = /^(\d+)(s|m|h|d|w)$/;

/** Seconds of `90s`, `5m`, `1h`, `7d`, `2w`; undefined for anything else. */
export function durationSeconds(text: string): number | undefined {
  const match = durationPattern.exec(text);
  return match === null ? undefined : Number(match[1]) * units[match[2] as keyof typeof units];
}

/** The same the other way, in the largest unit that divides it: `5m` of 300; weeks stay days. */
export function durationText(seconds: number): string {
  const unit = (['d', 'h', 'm'] as const).find((each) => seconds > 0 && seconds % units[each] === 0) ?? 's';
  return `${seconds / units[unit]}${unit}`;
}
