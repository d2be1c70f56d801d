import type { Duplex } from 'node:stream';
import { abortReason } from '../core/abort.ts';

/** Destroys the stream with the signal's reason; a signal that outlives the stream keeps nothing of it. */
export function destroyOnAbort(stream: Duplex, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const onAbort = () => {
    stream.destroy(abortReason(signal));
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', onAbort));
}
