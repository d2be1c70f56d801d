/** `20261120T140501Z-full-3fa94c1e`: sorts by time, says what it is, and no two attempts draw the same. */
export type RunId = string & { readonly brand: 'RunId' };

export const runIdPattern = /^\d{8}T\d{6}Z-[a-z][a-z-]*-[0-9a-f]{8}$/;

/** @param random 8 hex digits; drawn by the caller, because core is deterministic. */
export function runId(at: Date, kind: string, random: string): RunId {
  return `${compactTime(at)}-${kind}-${random}` as RunId;
}

export function isRunId(text: string): text is RunId {
  return runIdPattern.test(text);
}

/** `20261120T140501Z`, UTC. */
export function compactTime(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
}

/** What the id of a report calls an operation: `wal-sync` of walSync. */
export const kindOfOperation = (operation: string): string =>
  operation.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What an id says it is: `full` of `20261120T140501Z-full-3fa94c1e`. */
export const kindOfId = (id: string): string => id.slice('20261120T140501Z-'.length, -'-3fa94c1e'.length);
