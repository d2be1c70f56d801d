import { randomBytes } from 'node:crypto';
import { PgproofError } from '../../core/errors.ts';

/** pg_dump's header is much shorter. */
const headBytes = 64 * 1024;
const tailBytes = 4096;

export type ScriptOptions = {
  /** psql takes no command from the script but ours. */
  restrict: boolean;
  /** The server is older than what pg_dump 17 and newer set first. */
  withoutTransactionTimeout: boolean;
};

/**
 * A plain dump on its way to psql. Newer ones restrict psql themselves, by a key that stands in them: these lines go, because
 * older psql do not know them, and ours comes first, by a key that nobody knows. Nothing else changes.
 */
export class ScriptFilter {
  readonly #options: ScriptOptions;
  #head: Buffer | null = Buffer.alloc(0);
  /** The line that would lift the restriction of the dump's own. */
  #lifts: Buffer | null = null;
  #held: Buffer = Buffer.alloc(0);
  #tail: Buffer = Buffer.alloc(0);

  constructor(options: ScriptOptions) {
    this.#options = options;
  }

  take(chunk: Buffer): Buffer {
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-tailBytes)]).subarray(-tailBytes);
    if (this.#head === null) return this.#withoutLift(chunk);
    this.#head = Buffer.concat([this.#head, chunk]);
    return this.#head.length < headBytes ? Buffer.alloc(0) : this.#endHead();
  }

  /**
   * What is left.
   * @throws {PgproofError} `object-damaged` where pg_dump's last line is missing: psql takes a cut file for a whole one.
   */
  end(): Buffer {
    const rest = Buffer.concat([...(this.#head === null ? [] : [this.#endHead()]), this.#held]);
    this.#held = Buffer.alloc(0);
    if (/^-- PostgreSQL database (?:cluster )?dump complete\r?$/m.test(this.#tail.toString('latin1'))) return rest;
    throw new PgproofError('object-damaged', 'the SQL does not end as a dump does: it was cut off', {
      hint: 'What was restored is incomplete. Restore another dump.',
    });
  }

  #endHead(): Buffer {
    const { restrict, withoutTransactionTimeout } = this.#options;
    const text = (this.#head as Buffer).toString('latin1');
    this.#head = null;
    const kept = restrict ? [restriction()] : [];
    let at = 0;
    // Of the header only: the same line further down may be a row.
    for (let line = lineAt(text, at); isOfHeader(line); line = lineAt(text, at)) {
      at += line.length;
      const own = /^\\restrict ([A-Za-z0-9]+)/.exec(line)?.[1];
      if (own !== undefined) this.#lifts = Buffer.from(`\n\\unrestrict ${own}`);
      else kept.push(withoutTransactionTimeout && line.startsWith('SET transaction_timeout = 0;') ? '\n' : line);
    }
    return this.#withoutLift(Buffer.from(kept.join('') + text.slice(at), 'latin1'));
  }

  #withoutLift(chunk: Buffer): Buffer {
    if (this.#lifts === null) return chunk;
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const at = bytes.indexOf(this.#lifts);
    if (at >= 0) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + this.#lifts.length)]);
    const held = Math.min(this.#lifts.length - 1, bytes.length);
    this.#held = Buffer.from(bytes.subarray(bytes.length - held));
    return bytes.subarray(0, bytes.length - held);
  }
}

/** From here on psql takes no command, by a key that nobody knows. */
export const restriction = (): string => `\\restrict ${randomBytes(32).toString('hex')}\n`;

const lineAt = (text: string, at: number): string => text.slice(at, text.indexOf('\n', at) + 1);

/** Comments, blank lines, settings, and what restricts psql. */
const isOfHeader = (line: string): boolean => /^(?:--.*|SET [^;]*;|\\restrict [A-Za-z0-9]+|[ \t]*)\r?\n$/.test(line);
