import { PgproofError } from '../../../core/errors.ts';
import { printable } from '../../../core/format.ts';
import { readConnect, SqlReader } from '../../../core/sql-text.ts';

type Take = (chunk: Buffer) => Promise<void>;

/** What pg_dumpall itself writes around its connections; beside them there are no commands in what it writes. */
const ofConnecting = /^\\(?:restrict \w+|unrestrict \w+|encoding SQL_ASCII)\s*$/;

const newline = 10;
const dataEnds = '\\.';
const lastLine = '-- PostgreSQL database cluster dump complete';

/**
 * A whole server's script, cut where it connects to another database, so that a psql each can run what stands between, none of which may
 * give it commands. It is read as psql reads it; where that fails, a cut falls into the middle of a statement, and psql stops with an error.
 */
export class WholeScript {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #sql = new SqlReader();
  #rest: Buffer = Buffer.alloc(0);
  #hasEnded = false;
  /** Rows pass as bytes: one may be as long as memory. False: the next byte begins a line. */
  #isInRow = false;
  #isComplete = false;
  /** What the next section is run in; null: there is none. */
  database: string | null = 'postgres';

  /** @param chunks from where the databases begin. */
  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /**
   * Hands on the SQL of the next section.
   * @throws {PgproofError} `object-damaged` where the script's last line is missing; `dump-unfit` for a connection that pg_dumpall does not write.
   */
  async readSection(take: Take): Promise<void> {
    for (;;) {
      const { text, next } = this.#cut();
      if (text.length > 0) await take(text);
      if (next !== null) {
        this.database = next;
        return;
      }
      if (this.#hasEnded) break;
      const { done, value } = await this.#chunks.next();
      this.#hasEnded = done === true;
      // What is left without an end of its line is a line.
      const more = this.#hasEnded ? (this.#rest.length > 0 ? Buffer.from('\n') : Buffer.alloc(0)) : (value as Buffer);
      this.#rest = this.#rest.length === 0 ? more : Buffer.concat([this.#rest, more]);
    }
    this.database = null;
    if (!this.#isComplete)
      throw new PgproofError('object-damaged', 'the SQL does not end as that of a whole server does: it was cut off', {
        hint: 'What was restored is incomplete. Restore another dump.',
      });
  }

  /** What can be handed on of what is there, and where it connects to then. */
  #cut(): { text: Buffer; next: string | null } {
    const kept: Buffer[] = [];
    let next: string | null = null;
    while (next === null && this.#rest.length > 0) {
      if (this.#sql.inData) {
        const rows = this.#rowsIn(this.#rest);
        kept.push(this.#rest.subarray(0, rows));
        this.#rest = this.#rest.subarray(rows);
        if (!this.#rest.includes(newline)) break;
      }
      const end = this.#rest.indexOf(newline);
      if (end < 0) break;
      const line = this.#rest.subarray(0, end + 1);
      this.#rest = this.#rest.subarray(end + 1);
      const command = this.#commandIn(line.toString('latin1', 0, end));
      if (command?.startsWith('\\connect ')) next = connectedTo(command);
      else if (command === null || !ofConnecting.test(command)) kept.push(line);
    }
    return { text: Buffer.concat(kept), next };
  }

  #commandIn(line: string): string | null {
    this.#isComplete = line.startsWith(lastLine) || (this.#isComplete && /^(?:--|\s*$|\\unrestrict )/.test(line));
    const [first] = this.#sql.line(line);
    return first?.kind === 'command' ? first.text : null;
  }

  /** How many bytes are rows: until the line that ends them, or what may become it. */
  #rowsIn(bytes: Buffer): number {
    let at = 0;
    if (this.#isInRow) {
      at = bytes.indexOf(newline) + 1;
      if (at === 0) return bytes.length;
      this.#isInRow = false;
    }
    if (bytes.toString('latin1', at, at + dataEnds.length) === dataEnds) return at;
    const end = bytes.indexOf(`\n${dataEnds}`, at);
    if (end >= 0) return end + 1;
    const last = Math.max(at, bytes.lastIndexOf(newline) + 1);
    if (dataEnds.startsWith(bytes.toString('latin1', last, last + dataEnds.length))) return last;
    this.#isInRow = true;
    return bytes.length;
  }
}

function connectedTo(command: string): string {
  const name = readConnect(command);
  if (name !== null) return name;
  throw new PgproofError(
    'dump-unfit',
    `the script connects otherwise than pg_dumpall writes it: ${printable(command)}`,
  );
}
