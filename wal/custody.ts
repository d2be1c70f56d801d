import type { PgproofError } from '../core/errors.ts';
import { refuse as keepAside } from './foreign.ts';
import { Held } from './held.ts';
import { release, type Spool, type SpoolFile } from './spool.ts';
import type { Target } from './targets.ts';

/** While no more files than this lie in the spool, it also waits for repositories that are not required. */
const patientUpTo = 64;

/** No listing of the spool takes longer. */
const staleListMs = 60_000;

/**
 * Who has which file of the spool. A file leaves only when every required repository has it. One that is not required is
 * waited for as long as it keeps up; what it misses otherwise, `copy` brings. The spool's lock is held.
 */
export class Custody {
  readonly #spool: Spool;
  readonly #targets: readonly Target[];
  readonly #held: Held;
  readonly #away = new Set<string>();
  readonly #refusals = new Map<string, { identity: string; by: Set<string> }>();
  /** What lay in the spool when somebody last looked, by name. */
  #files = new Map<string, SpoolFile>();
  /** When files have left, by identity: a list that somebody read before may still name them. */
  readonly #gone = new Map<string, number>();
  /** By repository: what left the spool without it, and nobody was told of. */
  readonly #missed = new Map<string, string[]>();

  constructor(spool: Spool, targets: readonly Target[]) {
    this.#spool = spool;
    this.#targets = targets;
    this.#held = new Held(spool);
  }

  /** Call it when a target's repository was opened. @param id of the repository: another one under the same name has nothing. */
  async begin(target: Target, id: string): Promise<void> {
    await this.#held.load(target.name, id);
  }

  /** Which of these files the target still needs. */
  wanted(target: Target, files: readonly SpoolFile[]): SpoolFile[] {
    // Only for a moment: the very same file may be put back by a person, and then it is there.
    const justNow = Date.now() - staleListMs;
    for (const { identity } of files)
      if ((this.#gone.get(identity) ?? Number.POSITIVE_INFINITY) < justNow) this.#gone.delete(identity);
    const here = files.filter((file) => !this.isGone(file));
    this.#files = new Map(here.map((file) => [file.name, file]));
    return here.filter((file) => !this.#held.has(target.name, file));
  }

  /** It is durable in the target's repository, or without use for it. */
  async done(target: Target, file: SpoolFile): Promise<void> {
    if (this.isGone(file)) return this.#reached(target, file); // it was not waited for, and came there all the same
    this.#refusals.delete(file.name);
    this.#held.add(target.name, file);
    if (!(await this.#settle(file))) await this.#held.keep(target.name, file);
  }

  /**
   * The target's repository proves that the file is none of ours. It is put aside once every required one says so; one that
   * has it, or is away, may know better.
   * @returns whether it was put aside.
   */
  async refuse(target: Target, file: SpoolFile, error: PgproofError): Promise<boolean> {
    const before = this.#refusals.get(file.name);
    const by = before?.identity === file.identity ? before.by : new Set<string>();
    by.add(target.name);
    this.#refusals.set(file.name, { identity: file.identity, by });
    const isOurs = this.#targets.some(({ name }) => this.#held.has(name, file));
    if (isOurs || this.#targets.some(({ name, required }) => required && !by.has(name))) return false;
    await this.leave(file, () => keepAside(this.#spool, file, error));
    return true;
  }

  /** Nobody needs it here any more. Its notes go first: found beside another file of this name, they would call that one safe. */
  async leave(file: SpoolFile, how: () => Promise<void>): Promise<void> {
    const names = this.#targets.map(({ name }) => name);
    await this.#held.forget(names, file);
    if (this.#gone.size > 4096) this.#gone.clear();
    this.#gone.set(file.identity, Date.now()); // before it is: a reader beside us must not take it for lost
    try {
      await how();
    } catch (error) {
      this.#gone.delete(file.identity);
      throw error;
    }
    this.#files.delete(file.name);
    this.#refusals.delete(file.name);
  }

  /** Whether somebody else's last word let it leave the spool meanwhile. */
  isGone({ identity }: SpoolFile): boolean {
    return this.#gone.has(identity);
  }

  /** Whether the repository took what it was given last. One that is not required is not waited for while it is away. */
  async setAway({ name, required }: Target, isAway: boolean): Promise<void> {
    if (this.#away.has(name) === isAway) return;
    if (!isAway) return void this.#away.delete(name);
    this.#away.add(name);
    if (required) return;
    for (const file of [...this.#files.values()]) await this.#settle(file);
  }

  isAway({ name }: Target): boolean {
    return this.#away.has(name);
  }

  /** What left the spool without having reached this repository, since this was last asked. */
  takeMissed({ name }: Target): string[] {
    const missed = this.#missed.get(name) ?? [];
    this.#missed.delete(name);
    return missed;
  }

  #reached({ name }: Target, file: SpoolFile): void {
    const missed = (this.#missed.get(name) ?? []).filter((other) => other !== file.name);
    this.#missed.set(name, missed);
  }

  /** Lets the file go when nobody is left to wait for. */
  async #settle(file: SpoolFile): Promise<boolean> {
    const lacking = this.#targets.filter(({ name }) => !this.#held.has(name, file));
    if (lacking.some((target) => this.#isWaitedFor(target))) return false;
    if (lacking.length === this.#targets.length) return false;
    await this.leave(file, () => release(file));
    for (const { name } of lacking) this.#missed.set(name, [...(this.#missed.get(name) ?? []), file.name]);
    return true;
  }

  #isWaitedFor({ name, required }: Target): boolean {
    return required || (!this.#away.has(name) && this.#files.size <= patientUpTo);
  }
}
