const units = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const;

export const durationPattern = /^(\d+)(s|m|h|d|w)$/;

/** Seconds of `90s`, `5m`, `1h`, `7d`, `2w`; undefined for anything else. */
export function durationSeconds(text: string): number | undefined {
  const match = durationPattern.exec(text);
  return match === null ? undefined : Number(match[1]) * units[match[2] as keyof typeof units];
}
