/**
 * Does `work` for each item, at most `width` at once. The first failure stops the others, which are waited for: nothing goes
 * on behind the caller's back.
 * @param items taken one at a time, when there is room for it.
 * @throws the first failure.
 */
export async function inParallel<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  { width, signal }: { width: number; signal?: AbortSignal | undefined },
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    stop.abort(error);
  };
  const start = (item: Item): void => {
    const job: Promise<void> = work(item, both)
      .catch(fail)
      .finally(() => running.delete(job));
    running.add(job);
  };
  try {
    for await (const item of items) {
      if (failure === undefined) start(item);
      if (running.size >= width) await Promise.race(running);
      if (failure !== undefined) break;
    }
  } catch (error) {
    fail(error);
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure.error;
}
