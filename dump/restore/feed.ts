import { once } from 'node:events';
import type { Run } from '../../core/run.ts';
import type { ToolProcess } from '../../postgres/run.ts';

type Take = (chunk: Buffer) => Promise<void>;

export type FeedOptions = {
  /** Read to the end, also when the tool wants no more: the stream's checksum is proven only there. @defaultValue false */
  whole?: boolean;
};

/**
 * Writes what `read` hands on into the tool's input, and closes it. When the tool fails, `read` is stopped by its signal.
 * @throws why the tool failed; otherwise what `read` throws, and the tool is killed then.
 */
export async function feed(
  tool: ToolProcess,
  read: (take: Take, run: Run) => Promise<void>,
  run: Run,
  { whole = false }: FeedOptions = {},
): Promise<void> {
  const stdin = tool.stdin!;
  const enough = new AbortController();
  let wantsMore = true;
  tool.ended.then(
    () => {
      wantsMore = false;
      if (!whole) enough.abort();
    },
    () => enough.abort(),
  );
  const take = async (chunk: Buffer): Promise<void> => {
    if (!wantsMore) return;
    try {
      if (!stdin.write(chunk)) await once(stdin, 'drain', { signal: enough.signal });
    } catch {
      await tool.ended; // its input is closed: it has failed, or has what it wanted
    }
  };
  try {
    await read(take, { ...run, signal: AbortSignal.any([run.signal, enough.signal]) });
  } catch (error) {
    if (run.signal.aborted || !enough.signal.aborted) {
      tool.kill();
      throw error;
    }
  }
  stdin.end();
  await tool.ended;
}
