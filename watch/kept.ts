type Stop = { signal: AbortSignal };

/** Keys and repositories change; what is wrong with them shows in what is found. */
const keptMs = 3_600_000;

/**
 * A look at what is opened first, which is kept for an hour while nothing is found: opening asks a repository as many things as a look does. What is
 * found is looked for once more, opened anew, before it counts.
 */
export function keptWhileWell<Opened, Found>(
  open: (options: Stop) => Promise<Opened>,
  look: (opened: Opened, options: Stop) => Promise<Found[]>,
): (options: Stop) => Promise<Found[]> {
  let kept: { opened: Opened; until: number } | null = null;
  return async (options) => {
    if (kept !== null && performance.now() < kept.until && (await look(kept.opened, options)).length === 0) return [];
    kept = null;
    const opened = await open(options);
    const found = await look(opened, options);
    if (found.length === 0) kept = { opened, until: performance.now() + keptMs };
    return found;
  };
}
