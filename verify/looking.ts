import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../core/abort.ts';
import { asPgproofError, type ErrorCode, type PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';

/** What a look at an object came to. `sealed`: this host may write it and not read it. */
export type Look<T> =
  | { state: 'whole'; value: T }
  | { state: 'damaged' | 'missing' | 'sealed'; why: string }
  | { state: 'unread' };

/** Of what is not whole. */
export const kindOf = (state: 'damaged' | 'missing' | 'sealed'): 'damaged' | 'missing' =>
  state === 'missing' ? 'missing' : 'damaged';

const tries = 3;
/** After so many objects in a row that could not be read, the store is away. */
const mostInARow = 5;
const mostNamed = 100;

/** Looks at objects one by one or side by side, and keeps what nobody can tell apart from what is damaged. */
export class Looking {
  readonly unread: { object: string; why: string }[] = [];
  unreadCount = 0;
  #inARow = 0;
  readonly #run: Run;
  /** Between two looks at what may be different in a moment. */
  readonly pauseMs: number;

  constructor(run: Run, pauseMs = 1000) {
    this.#run = run;
    this.pauseMs = pauseMs;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  /**
   * @throws {PgproofError} `store-unreachable` (or what else waiting may mend) once the store seems to be away; the signal's
   * reason; `internal`.
   */
  async at<T>(object: string, look: () => Promise<T>): Promise<Look<T>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const value = await look();
        this.#inARow = 0;
        return { state: 'whole', value };
      } catch (thrown) {
        if (this.signal.aborted) throw abortReason(this.signal);
        const error = asPgproofError(thrown);
        if (error.code === 'internal') throw error;
        const answer = answerTo(error);
        if (answer !== null) {
          this.#inARow = 0;
          return answer;
        }
        if (error.permanent || attempt === tries) return this.#giveUp(object, error);
        await sleep(this.pauseMs * attempt, undefined, { signal: this.signal }).catch(() => {
          throw abortReason(this.signal);
        });
      }
    }
  }

  #giveUp(object: string, error: PgproofError): { state: 'unread' } {
    this.unreadCount += 1;
    if (this.unread.length < mostNamed) this.unread.push({ object, why: error.message });
    if (!error.permanent) this.#inARow += 1;
    if (this.#inARow >= mostInARow) throw error;
    return { state: 'unread' };
  }
}

const damage: readonly ErrorCode[] = [
  'object-damaged',
  'record-invalid',
  'signature-invalid',
  'wal-unreadable',
  'manifest-invalid',
  'range-outside-object',
];

function answerTo({ code, message }: PgproofError): Look<never> | null {
  if (code === 'object-missing') return { state: 'missing', why: 'there is no such object' };
  if (code === 'key-write-only') return { state: 'sealed', why: message };
  return damage.includes(code) ? { state: 'damaged', why: message } : null;
}

/** Does `work` for each item, so many at a time; the first failure ends it, once what was begun has ended. */
export async function inParallel<T>(
  items: Iterable<T>,
  parallel: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { error: unknown } | null = null;
  const lane = async (): Promise<void> => {
    while (failure === null) {
      const next = iterator.next();
      if (next.done) return;
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  if (failure !== null) throw (failure as { error: unknown }).error;
}
