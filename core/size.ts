/** A whole number with a unit: decimal (KB, MB, GB, TB) or binary (KiB, MiB, GiB, TiB). */
export const sizePattern = /^([1-9]\d*)(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

const units: Record<string, number> = {
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes of `500KB` or `1GiB`; undefined for anything else. */
export function sizeBytes(text: string): number | undefined {
  const match = sizePattern.exec(text);
  return match === null ? undefined : Number(match[1]) * (units[match[2] as string] as number);
}
