/** Microseconds since 1970 of an ISO-8601 UTC time: JavaScript's dates end at milliseconds, PostgreSQL's do not. */
export function microsOf(iso: string): bigint {
  const [whole, fraction = ''] = iso.replace(/Z$/, '').split('.') as [string, string | undefined];
  return BigInt(Date.parse(`${whole}Z`)) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
}

/** `2026-11-20T14:05:00.123456Z`; six digits, always. */
export function isoOfMicros(micros: bigint): string {
  const seconds = micros / 1_000_000n - (micros % 1_000_000n < 0n ? 1n : 0n);
  const fraction = micros - seconds * 1_000_000n;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${String(fraction).padStart(6, '0')}Z`;
}
