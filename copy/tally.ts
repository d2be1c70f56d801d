import { throwIfAborted } from '../core/abort.ts';
import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import type { CopyRefusal } from '../core/report.ts';
import type { Run } from '../core/run.ts';

/** A source that fails so many reads in a row is away; fewer are objects of its own that cannot be read. */
const readsInVain = 8;

/** What a copy has done so far, and what it would not do. */
export class Tally {
  readonly copied = { objects: 0, bytes: 0 };
  readonly skipped = { objects: 0, bytes: 0 };
  /** Ids of the backups that exist at the target because of this copy. */
  readonly backups: string[] = [];
  /** The same of dumps. */
  readonly dumps: string[] = [];
  readonly notes: string[] = [];
  /** WAL that was copied as stored, because the keys at hand do not open it. */
  unopened = 0;
  /** Without the errors themselves: there may be many, and each has a stack. */
  readonly #refused = new Map<string, Omit<CopyRefusal, 'key'>>();
  #tell: Run['progress'] = () => undefined;
  #phase = '';
  #movedBytes = 0;
  #toldAt = 0;
  #failedReads = 0;

  /** @param tell is told how far it is, at most twice a second. */
  toldTo(tell: Run['progress']): this {
    this.#tell = tell;
    return this;
  }

  /** What a person should know beside the figures. */
  allNotes(): string[] {
    if (this.unopened === 0) return this.notes;
    const note = `${this.unopened} WAL segments were copied as stored: the key at hand does not open them.`;
    return [...this.notes, note];
  }

  get refused(): CopyRefusal[] {
    return [...this.#refused].map(([key, why]) => ({ key, ...why }));
  }

  isRefused(key: string): boolean {
    return this.#refused.has(key);
  }

  begin(phase: string): void {
    this.#phase = phase;
    this.#tell({ phase });
  }

  moved(bytes: number): void {
    this.#movedBytes += bytes;
    this.#failedReads = 0;
    this.looked();
  }

  /** Something moved, if only a listing. */
  looked(): void {
    if (performance.now() - this.#toldAt < 500) return;
    this.#toldAt = performance.now();
    this.#tell({ phase: this.#phase, doneBytes: this.#movedBytes });
  }

  sent(bytes: number): void {
    this.copied.objects += 1;
    this.copied.bytes += bytes;
  }

  isThere(bytes: number): void {
    this.skipped.objects += 1;
    this.skipped.bytes += bytes;
  }

  refuse(key: string, { code, message, permanent }: PgproofError): void {
    if (!this.#refused.has(key)) this.#refused.set(key, { code, message, permanent });
  }

  /** What was refused below the prefix is nobody's fault any more. */
  withdraw(prefix: string): void {
    for (const key of this.#refused.keys()) if (key.startsWith(prefix)) this.#refused.delete(key);
  }

  /**
   * What is wrong with one object holds up no other: it is named, and the copy goes on.
   * @throws what concerns the whole copy: it was stopped, the target takes nothing, the source is away.
   */
  async orRefuse<Result>(key: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      throwIfAborted(signal);
      const isRead = error instanceof SourceFailure;
      const known = asPgproofError(isRead ? error.cause : error);
      if (!ofOneObject(known) && !(isRead && this.#toleratesFailedRead())) throw known;
      this.refuse(key, known);
      return undefined;
    }
  }

  #toleratesFailedRead(): boolean {
    this.#failedReads += 1;
    return this.#failedReads <= readsInVain;
  }
}

/** A read of the source that failed, as opposed to a write to the target. */
export class SourceFailure extends Error {}

/** Errors that are about one object, whatever store it lies in. */
const ofOneObject = (error: PgproofError): boolean =>
  hasCode(
    error,
    'object-missing',
    'object-exists',
    'object-damaged',
    'object-retained',
    'object-key-invalid',
    'record-invalid',
    'repository-format',
    'signature-invalid',
    'key-missing',
    'backup-deleted',
    'backup-unverified',
    'era-mismatch',
    'wal-conflict',
    'wal-unreadable',
    'segment-not-archived',
  );
