import { PgproofError } from '../../../core/errors.ts';
import type { Run } from '../../../core/run.ts';
import { LineCutter, SqlReader } from '../../../core/sql-text.ts';
import type { DumpSource } from '../source.ts';

export type Head = {
  /** The globals; the databases begin behind them. */
  sql: Buffer;
  /** What was set in them and is in force where the databases begin. */
  settings: string;
};

/**
 * Reads no more of a whole server's dump than its globals.
 * @throws {PgproofError} `tool-output`, `object-damaged` where no database begins; what `source.read` throws.
 */
export async function readHead(source: DumpSource, mostBytes: number, run: Run): Promise<Head> {
  const reader = new GlobalsHead();
  const chunks: Buffer[] = [];
  const enough = new AbortController();
  const take = async (chunk: Buffer): Promise<void> => {
    if (reader.done) return;
    reader.take(chunk);
    chunks.push(chunk);
    if (reader.bytes > mostBytes)
      throw new PgproofError('tool-output', `the globals of ${source.what} are larger than ${mostBytes} bytes`);
    if (reader.done) enough.abort();
  };
  try {
    await source.read('dump', take, { ...run, signal: AbortSignal.any([run.signal, enough.signal]) });
  } catch (error) {
    if (run.signal.aborted || !enough.signal.aborted) throw error;
  }
  if (!reader.done) throw new PgproofError('object-damaged', `no database begins in ${source.what}`);
  return { sql: Buffer.concat(chunks).subarray(0, reader.bytes), settings: reader.settings };
}

/**
 * The beginning of what pg_dumpall wrote of a whole server: its globals, until the first database. `bytes` of the script are passed
 * when `done`.
 */
export class GlobalsHead {
  readonly #cutter = new LineCutter();
  readonly #sql = new SqlReader();
  readonly #settings: string[] = [];
  bytes = 0;
  done = false;

  /** What was set in the head and is in force where the databases begin. */
  get settings(): string {
    return this.#settings.map((line) => `${line}\n`).join('');
  }

  take(chunk: Buffer): void {
    for (const line of this.#cutter.lines(chunk)) {
      if (this.done) return;
      this.#line(line);
    }
  }

  #line(line: string): void {
    const pieces = this.#sql.line(line);
    this.done = pieces.some(({ kind, text }) =>
      kind === 'command' ? text.startsWith('\\connect') : text.startsWith('CREATE DATABASE '),
    );
    if (this.done) return;
    this.bytes += line.length + 1;
    for (const { kind, text } of pieces)
      if (kind === 'statement' && text.startsWith('SET ')) this.#settings.push(`${text};`);
  }
}
