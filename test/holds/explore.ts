import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { PgproofError } from '../../core/errors.ts';
import type { ObjectStore } from '../../storage/store.ts';

/*
 * Runs processes against one store in every order of their store calls, with kills between any two. Each call is one step. The
 * orders are walked depth first by running again from the beginning; where two orders lead to the same store and
 * to processes that have seen the same, only one is followed.
 */

export type Objects = Map<string, Buffer>;

/** What became of a process. */
export type Outcome = { state: 'done'; value: unknown } | { state: 'failed'; error: unknown } | { state: 'killed' };

export type Process = (store: ObjectStore) => Promise<unknown>;

type Choice = { process: number; kill: boolean };

type Actor = { calls: (() => void)[]; seen: string; outcome: Outcome | null };

/**
 * @param options.kills how many processes may be killed in one run.
 * @param check is given every end once.
 */
export async function explore(
  begin: Objects,
  processes: readonly Process[],
  { kills }: { kills: number },
  check: (objects: Objects, outcomes: readonly Outcome[], order: string) => Promise<void>,
): Promise<{ ends: number; states: number }> {
  const seen = new Set<string>();
  const waiting: Choice[][] = [[]];
  let ends = 0;
  for (let decided = waiting.pop(); decided !== undefined; decided = waiting.pop()) {
    const world = new World(begin, processes, kills);
    await world.settle();
    for (const choice of decided) await world.take(choice);
    const path = [...decided];
    for (;;) {
      const state = world.state();
      if (seen.has(state)) break;
      seen.add(state);
      const [next, ...others] = world.choices();
      if (next === undefined) {
        ends += 1;
        await check(world.objects, world.outcomes(), world.order.join('\n'));
        break;
      }
      for (const other of others) waiting.push([...path, other]);
      path.push(next);
      await world.take(next);
    }
  }
  return { ends, states: seen.size };
}

class World {
  readonly objects: Objects;
  /** For people, when a check fails. */
  readonly order: string[] = [];
  #kills: number;
  readonly #actors: Actor[] = [];
  /** What was created, by who created it: names that are drawn differ from run to run. */
  readonly #names = new Map<string, string>();
  readonly #created: number[] = [];

  constructor(begin: Objects, processes: readonly Process[], kills: number) {
    this.objects = new Map(begin);
    this.#kills = kills;
    for (const [index, process] of processes.entries()) {
      const actor: Actor = { calls: [], seen: '', outcome: null };
      this.#actors.push(actor);
      this.#created.push(0);
      process(this.#storeFor(index)).then(
        (value) => end(actor, { state: 'done', value }),
        (error: unknown) => end(actor, { state: 'failed', error }),
      );
    }
  }

  /** Until every process waits for its next call, or has ended. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 100; turns += 1) {
      await turn();
      if (this.#actors.every(({ calls, outcome }) => outcome !== null || calls.length > 0)) return;
    }
    throw new Error('a process waits for something other than the store');
  }

  choices(): Choice[] {
    const alive = this.#actors.flatMap(({ outcome }, process) => (outcome === null ? [process] : []));
    const steps = alive.map((process) => ({ process, kill: false }));
    return this.#kills === 0 ? steps : [...steps, ...alive.map((process) => ({ process, kill: true }))];
  }

  async take({ process, kill }: Choice): Promise<void> {
    const actor = this.#actors[process] as Actor;
    if (kill) {
      this.#kills -= 1;
      actor.outcome = { state: 'killed' };
      this.order.push(`${process} is killed`);
      return;
    }
    actor.calls.shift()?.();
    await this.settle();
  }

  outcomes(): Outcome[] {
    return this.#actors.map(({ outcome }) => outcome as Outcome);
  }

  state(): string {
    const objects = [...this.objects.keys()].map((key) => this.#nameOf(key)).sort();
    return JSON.stringify([objects, this.#actors.map(({ seen, outcome }) => [seen, outcome?.state]), this.#kills]);
  }

  #nameOf(key: string): string {
    return this.#names.get(key) ?? key;
  }

  #storeFor(index: number): ObjectStore {
    const step = <T>(what: string, act: () => T, told: (answer: T) => string): Promise<T> => {
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      const actor = this.#actors[index] as Actor;
      actor.calls.push(() => {
        const note = (answer: string): void => {
          this.order.push(`${index} ${what}: ${answer}`);
          actor.seen = createHash('sha1').update(`${actor.seen}\n${what}\n${answer}`).digest('hex');
        };
        try {
          const answer = act();
          note(told(answer));
          resolve(answer);
        } catch (error) {
          note((error as PgproofError).code);
          reject(error);
        }
      });
      return promise;
    };
    return {
      create: (key, body) => {
        const bytes = Buffer.from(body as Uint8Array);
        const act = () => {
          if (this.objects.has(key)) throw new PgproofError('object-exists', `${key} exists`);
          this.objects.set(key, bytes);
          this.#created[index] = (this.#created[index] as number) + 1;
          if (/[0-9a-f]{8}/.test(key) && !this.#names.has(key))
            this.#names.set(key, `${key.replace(/\d{8}T\d{6}Z|[0-9a-f]{8}/g, '')} ${index}.${this.#created[index]}`);
          return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
        };
        return step('create', act, () => this.#nameOf(key));
      },
      read: (key) => {
        const act = () => {
          const bytes = this.objects.get(key);
          if (bytes === undefined) throw new PgproofError('object-missing', `${key} is missing`);
          return Readable.from([bytes], { objectMode: false });
        };
        return step('read', act, () => this.#nameOf(key));
      },
      list: (prefix) => {
        const act = () =>
          [...this.objects]
            .filter(([key]) => key.startsWith(prefix))
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, { length }]) => ({ key, bytes: length }));
        const names = (found: { key: string }[]) =>
          found
            .map(({ key }) => this.#nameOf(key))
            .sort()
            .join(' ');
        return (async function* () {
          yield* await step(`list ${prefix.split('/').slice(1).join('/')}`, act, names);
        })();
      },
      remove: (key) =>
        step(
          'remove',
          () => void this.objects.delete(key),
          () => this.#nameOf(key),
        ),
    };
  }
}

/** A store that these objects lie in, for who looks at an end. */
export function plainStore(objects: Objects): ObjectStore {
  const store = objects;
  return {
    create: async (key, body) => {
      const bytes = Buffer.from(body as Uint8Array);
      store.set(key, bytes);
      return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    },
    read: async (key) => {
      const bytes = store.get(key);
      if (bytes === undefined) throw new Error(`${key} is missing`);
      return Readable.from([bytes], { objectMode: false });
    },
    list: async function* (prefix) {
      for (const key of [...store.keys()].filter((each) => each.startsWith(prefix)).sort())
        yield { key, bytes: store.get(key)?.length ?? 0 };
    },
    remove: async (key) => void store.delete(key),
  };
}

/** What a killed process would still have come to does not count. */
function end(actor: Actor, outcome: Outcome): void {
  actor.outcome ??= outcome;
}
