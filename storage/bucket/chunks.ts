import type { Readable } from 'node:stream';
import { abortReason } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';

/**
 * The chunks of a body, in place of its own iterator: that one waits for a source which is in the midst of something even
 * after the body was destroyed, so that whoever gives up would wait for it, too.
 * @throws the body's own error; the reason of `stopped` once that aborts.
 */
export async function* chunksOf(body: Readable, stopped: AbortSignal): AsyncGenerator<Uint8Array, void> {
  let wake = () => {};
  let closed = body.closed;
  const onClose = () => {
    closed = true;
    wake();
  };
  const onEvent = () => wake();
  const events = ['readable', 'end', 'error'] as const;
  for (const event of events) body.on(event, onEvent);
  body.once('close', onClose);
  stopped.addEventListener('abort', onEvent);
  try {
    for (;;) {
      if (stopped.aborted) throw abortReason(stopped);
      const chunk = body.destroyed ? null : (body.read() as Uint8Array | null);
      if (chunk !== null) yield chunk;
      else if (body.errored !== null) throw body.errored;
      else if (body.readableEnded) return;
      else if (closed) throw new PgproofError('cancelled', 'the body was closed before its end');
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    // The listener for errors stays: one that comes late is nobody's, and must not end the process.
    for (const event of ['readable', 'end'] as const) body.off(event, onEvent);
    body.off('close', onClose);
    stopped.removeEventListener('abort', onEvent);
  }
}
