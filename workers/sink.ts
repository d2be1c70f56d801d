import { setTimeout as sleep } from 'node:timers/promises';
import { asPgproofError, type PgproofError } from '../core/errors.ts';
import type { Host } from '../host/host.ts';
import { sinkOf } from '../host/sink.ts';
import { listQueued } from '../report/outbox.ts';
import { type Drained, drainOutbox } from '../sink/drain.ts';

/** Between two looks into the outbox; after a failure the first wait, doubled up to the longest. */
type Waits = { idleMs: number; firstMs: number; longestMs: number };

const usual: Waits = { idleMs: 5000, firstMs: 1000, longestMs: 60_000 };

/**
 * Sends this host's reports to the sink until the signal aborts; returns at once where none is configured. A table that is away
 * delays them: a warning in the log, never a failure of anything.
 */
export async function keepSink(host: Host, signal: AbortSignal, waits: Waits = usual): Promise<void> {
  const sink = sinkOf(host);
  if (sink === null) return;
  const { drained, failed } = teller(host.log);
  let waitMs = waits.firstMs;
  while (!signal.aborted) {
    const isWell = await drainOutbox(sink, { signal }).then(drained, async (error: unknown) => {
      if (!signal.aborted) failed(asPgproofError(error), await countOf(sink.outbox));
      return false;
    });
    await sleep(isWell ? waits.idleMs : waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = isWell ? waits.firstMs : Math.min(waitMs * 2, waits.longestMs);
  }
}

const countOf = (outbox: string): Promise<number | null> =>
  listQueued(outbox).then(
    ({ length }) => length,
    () => null,
  );

/** What goes on for long is said once, and again daily. */
const repeatMs = 24 * 3_600_000;

function teller(log: Host['log']) {
  let away = { code: '', saidAt: 0 };
  let refusedBefore = new Set<unknown>();
  /** @returns whether nothing is left to be tried again soon. */
  const drained = ({ sent, refused, setAside }: Drained): boolean => {
    if (away.code !== '') log.info({ sent }, 'the report sink takes reports again');
    away = { code: '', saidAt: 0 };
    for (const error of refused)
      if (!refusedBefore.has(error.facts.file))
        log.warn({ ...error.toDocument() }, `the report sink refuses a report, which waits: ${error.message}`);
    refusedBefore = new Set(refused.map(({ facts }) => facts.file));
    for (const error of setAside)
      log.warn({ ...error.toDocument() }, `a report for the report sink was put aside: ${error.message}`);
    return refused.length === 0;
  };
  const failed = (error: PgproofError, waiting: number | null): void => {
    if (error.code === away.code && Date.now() - away.saidAt < repeatMs) return;
    away = { code: error.code, saidAt: Date.now() };
    log.warn({ ...error.toDocument(), waiting }, `reports wait for the report sink: ${error.message}`);
  };
  return { drained, failed };
}
