import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import type { Repository } from '../repository/repository.ts';
import type { ObjectKey, ObjectStore, StoreOptions } from '../storage/store.ts';
import type { Copies } from './copies.ts';

type Created = { bytes: number; sha256: string };

export type TeeOptions = {
  /** How long one that is not required may keep the others waiting. @defaultValue 120 */
  patienceSeconds?: number;
};

/**
 * Stores each object in all the repositories of a copy at once, no faster than the slowest takes the bytes. What goes wrong
 * in a required one goes wrong for all; another one is dropped from the copy and gets no further object.
 */
export function teeStore(copies: Copies, { patienceSeconds = 120 }: TeeOptions = {}): Pick<ObjectStore, 'create'> {
  return {
    create: async (key, body, options = {}) => {
      const [only, ...others] = copies.live;
      if (only !== undefined && others.length === 0) return only.store.create(key, body, options);
      return createInAll(copies, key, body, options, patienceSeconds * 1000);
    },
  };
}

async function createInAll(
  copies: Copies,
  key: ObjectKey,
  body: Readable | Uint8Array,
  options: StoreOptions,
  patienceMs: number,
): Promise<Created> {
  const sinks = copies.live.map((repository) => new Sink(repository, key, options, !copies.isRequired(repository)));
  const patience = { copies, patienceMs };
  const source = body instanceof Uint8Array ? Readable.from([body], { objectMode: false }) : body;
  try {
    // Chunks that stay: each sink holds them for as long as it needs to.
    for await (const chunk of source.iterator())
      await inEach(sinks, patience, (sink) => sink.write(chunk as Uint8Array));
    for (const sink of sinks) sink.end();
    // The required ones first: only when they have it, another one keeps somebody waiting.
    await inEach(
      sinks.filter(({ isDroppable }) => !isDroppable),
      patience,
      (sink) => sink.created,
    );
    await inEach(
      sinks.filter(({ isDroppable }) => isDroppable),
      patience,
      (sink) => sink.created,
    );
    return await agreed(copies, key, sinks);
  } catch (error) {
    for (const sink of sinks) sink.abandon(error as Error);
    await Promise.allSettled(sinks.map(({ created }) => created)); // nothing of it goes on
    throwIfAborted(options.signal);
    throw error;
  }
}

/** One repository's way for one object. */
class Sink {
  readonly repository: Repository;
  readonly created: Promise<Created>;
  /** Whether the copy may go on without it. */
  readonly isDroppable: boolean;
  isDropped = false;
  readonly #stream = new PassThrough({ highWaterMark: 1024 * 1024 });
  readonly #letGo = new AbortController();

  constructor(repository: Repository, key: ObjectKey, { signal }: StoreOptions, isDroppable: boolean) {
    this.repository = repository;
    this.isDroppable = isDroppable;
    this.#stream.on('error', () => {}); // what goes wrong shows in `created`
    const both = signal === undefined ? this.#letGo.signal : AbortSignal.any([signal, this.#letGo.signal]);
    this.created = repository.store.create(key, this.#stream, { signal: both });
    this.created.catch((error: Error) => this.#stream.destroy(error));
  }

  /** Answers when the next chunk may come. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#stream.destroyed) return void (await this.created);
    if (this.#stream.write(chunk)) return;
    // `created` settles here only by failing: nobody has ended the stream yet. A store that fails stops reading first, which
    // destroys the stream as if somebody had cancelled; only `created` knows why.
    await Promise.race([once(this.#stream, 'drain').catch(() => this.created), this.created]);
  }

  end(): void {
    if (!this.isDropped) this.#stream.end();
  }

  abandon(reason: Error): void {
    this.isDropped = true;
    this.#stream.destroy(reason);
    this.#letGo.abort(reason);
  }
}

type Patience = { copies: Copies; patienceMs: number };

/** Does it in all that are still there, at the same time. */
async function inEach(
  sinks: readonly Sink[],
  patience: Patience,
  work: (sink: Sink) => Promise<unknown>,
): Promise<void> {
  await Promise.all(sinks.filter(({ isDropped }) => !isDropped).map((sink) => orDrop(sink, patience, work)));
}

async function orDrop(
  sink: Sink,
  { copies, patienceMs }: Patience,
  work: (sink: Sink) => Promise<unknown>,
): Promise<void> {
  if (!sink.isDroppable) return void (await work(sink));
  const over = new AbortController();
  try {
    const working = work(sink);
    working.catch(() => {}); // when the patience is over first, nobody listens any more
    await Promise.race([working, overdue(sink.repository, patienceMs, over.signal)]);
  } catch (thrown) {
    const error = asPgproofError(thrown);
    copies.drop(sink.repository, error);
    sink.abandon(error);
  } finally {
    over.abort();
  }
}

async function overdue({ name }: Repository, ms: number, signal: AbortSignal): Promise<never> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    return new Promise<never>(() => {}); // the other one of the race has won
  }
  throw new PgproofError('timeout', `repository '${name}' has taken nothing for ${ms / 1000} s`, {
    facts: { repository: name, seconds: ms / 1000 },
  });
}

/** They were all given the same bytes, so they must all say the same of them. */
async function agreed(copies: Copies, key: ObjectKey, sinks: readonly Sink[]): Promise<Created> {
  const [first, ...others] = sinks.filter(({ isDropped }) => !isDropped).sort(requiredFirst) as [Sink, ...Sink[]];
  const created = await first.created;
  for (const other of others) {
    const { bytes, sha256 } = await other.created;
    if (bytes === created.bytes && sha256 === created.sha256) continue;
    const error = new PgproofError(
      'backup-unverified',
      `repository '${other.repository.name}' kept other bytes of '${key}' than '${first.repository.name}'`,
      { facts: { key, repository: other.repository.name } },
    );
    if (!other.isDroppable) throw error;
    copies.drop(other.repository, error);
  }
  return created;
}

const requiredFirst = (a: Sink, b: Sink): number => Number(a.isDroppable) - Number(b.isDroppable);
