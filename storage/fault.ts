import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { abortReason } from '../core/abort.ts';
import { PgproofError } from '../core/errors.ts';
import type { ObjectKey, ObjectStore, StoredObject, StoreOptions } from './store.ts';

/**
 * What a store can do wrong:
 * `fail` answers an error and does nothing · `lose-answer` does it and answers an error · `hang` never answers ·
 * `truncate` keeps or yields only the first `bytes` and answers success · `flip` changes the bit 0x01 of the byte at `at` ·
 * `forget` answers success and does nothing, or leaves objects out of a listing · `swap` yields the object `with` in place of
 * the one that was asked for · `replace` takes an object although one is there, as a store without conditional put, or one
 * that claims it and lies · `list-late` creates it and leaves it out of the next `listings` listings.
 */
export type Fault =
  | { kind: 'fail' | 'lose-answer'; error?: Error }
  | { kind: 'hang' }
  | { kind: 'truncate'; bytes: number }
  | { kind: 'flip'; at: number }
  | { kind: 'forget' }
  | { kind: 'swap'; with: ObjectKey }
  | { kind: 'replace' }
  | { kind: 'list-late'; listings: number };

export type Operation = 'create' | 'read' | 'list' | 'remove';

/** One rule of a plan: which calls it meets, and how many of them (all, unless `times` says otherwise). */
export type FaultRule = { on: Operation; key?: RegExp; fault: Fault; times?: number };

/** Rules are tried in order; the first that fits a call decides. May be changed while the store is in use. */
export type FaultPlan = FaultRule[];

/** A store that does what a real one does, except where the plan says otherwise. For tests and game days. */
export function faulty(store: ObjectStore, plan: FaultPlan): ObjectStore {
  return new FaultyStore(store, plan);
}

class FaultyStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #plan: FaultPlan;
  /** Objects that the next listings leave out, and how many of them. */
  readonly #late = new Map<ObjectKey, number>();

  constructor(store: ObjectStore, plan: FaultPlan) {
    this.#store = store;
    this.#plan = plan;
  }

  async create(key: ObjectKey, body: Readable | Uint8Array, options: StoreOptions = {}) {
    const fault = this.#faultFor('create', key);
    if (fault === undefined) return this.#store.create(key, body, options);
    await refuse(fault, options.signal);
    const whole = await collect(body);
    if (fault.kind === 'replace') await this.#store.remove(key, options);
    if (fault.kind !== 'forget') await this.#store.create(key, spoil(whole, fault), options);
    if (fault.kind === 'list-late') this.#late.set(key, fault.listings);
    if (fault.kind === 'lose-answer') throw failure(fault);
    // It claims that it took what it was given.
    return { bytes: whole.length, sha256: createHash('sha256').update(whole).digest('hex') };
  }

  async read(key: ObjectKey, options: StoreOptions & { range?: { offset: number; length: number } } = {}) {
    const fault = this.#faultFor('read', key);
    if (fault === undefined) return this.#store.read(key, options);
    await refuse(fault, options.signal);
    if (fault.kind === 'forget')
      throw new PgproofError('object-missing', `there is no object '${key}'`, { facts: { key } });
    const whole = await collect(await this.#store.read(fault.kind === 'swap' ? fault.with : key, options));
    if (fault.kind === 'lose-answer') throw failure(fault);
    return Readable.from([spoil(whole, fault)], { objectMode: false });
  }

  async *list(prefix: string, options: StoreOptions = {}): AsyncIterable<StoredObject> {
    for await (const object of this.#store.list(prefix, options)) {
      if (this.#isLate(object.key)) continue;
      const fault = this.#faultFor('list', object.key);
      if (fault !== undefined) await refuse(fault, options.signal);
      if (fault?.kind === 'lose-answer') throw failure(fault);
      if (fault?.kind !== 'forget') yield object;
    }
  }

  async remove(key: ObjectKey, options: StoreOptions = {}): Promise<void> {
    const fault = this.#faultFor('remove', key);
    if (fault !== undefined) await refuse(fault, options.signal);
    if (fault?.kind !== 'forget') await this.#store.remove(key, options);
    if (fault?.kind === 'lose-answer') throw failure(fault);
  }

  #isLate(key: ObjectKey): boolean {
    const listings = this.#late.get(key) ?? 0;
    if (listings > 0) this.#late.set(key, listings - 1);
    return listings > 0;
  }

  #faultFor(operation: Operation, key: string): Fault | undefined {
    const rule = this.#plan.find(
      (each) => each.on === operation && each.times !== 0 && (each.key === undefined || each.key.test(key)),
    );
    if (rule?.times !== undefined) rule.times -= 1;
    return rule?.fault;
  }
}

/** Ends the calls of which nothing comes. */
async function refuse(fault: Fault, signal: AbortSignal | undefined): Promise<void> {
  if (fault.kind === 'fail') throw failure(fault);
  if (fault.kind === 'hang') await untilAborted(signal);
}

function failure(fault: { error?: Error }): Error {
  return fault.error ?? new PgproofError('store-unreachable', 'the store does not answer');
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(abortReason(signal));
    signal?.addEventListener('abort', () => reject(abortReason(signal)), { once: true });
  });
}

function spoil(whole: Buffer, fault: Fault): Buffer {
  if (fault.kind === 'truncate') return whole.subarray(0, fault.bytes);
  if (fault.kind !== 'flip') return whole;
  const copy = Buffer.from(whole);
  copy[fault.at] = (copy[fault.at] as number) ^ 1;
  return copy;
}

async function collect(body: Readable | Uint8Array): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}
