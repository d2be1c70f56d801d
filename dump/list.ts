import { once } from 'node:events';
import { hasCode, PgproofError } from '../core/errors.ts';
import type { Clients } from '../postgres/clients.ts';
import { spawnTool, type ToolProcess } from '../postgres/run.ts';

/** The list of a million entries is printed within minutes. */
const timeoutSeconds = 3600;

/** What pg_restore makes of the head of an archive, given to it on its standard input or as a folder. */
export class Lister {
  readonly #tool: ToolProcess;
  readonly #lines: Promise<ListLines>;
  #ended = false;

  /** @param folder of the directory format; otherwise the archive's head has to be written. */
  constructor(clients: Clients, signal: AbortSignal, folder?: string) {
    const args = ['--list', ...(folder === undefined ? [] : [folder])];
    this.#tool = spawnTool(clients, 'pg_restore', args, { signal, timeoutSeconds, input: folder === undefined });
    this.#lines = countLines(this.#tool);
    this.#lines.catch(() => {});
    const end = () => {
      this.#ended = true;
    };
    this.#tool.ended.then(end, end);
  }

  /** It stops reading behind the table of contents. */
  async write(chunk: Buffer): Promise<void> {
    const { stdin } = this.#tool;
    if (this.#ended || stdin === null || !stdin.writable) return;
    const drained = new AbortController();
    // A copy: the chunk's memory is used again before pg_restore has read it.
    if (stdin.write(Buffer.from(chunk))) return;
    const taken = once(stdin, 'drain', { signal: drained.signal });
    await Promise.race([taken, this.#tool.ended]).catch(() => {}); // why it ended, `finish` says
    drained.abort();
  }

  /** There is nothing more to be read. */
  end(): void {
    this.#tool.stdin?.end();
  }

  kill(): void {
    this.#tool.kill();
  }

  /**
   * @returns how many entries it counts.
   * @throws {PgproofError} `dump-unverified` when it cannot read the archive.
   */
  async finish(): Promise<number> {
    this.end();
    try {
      const [{ total }] = await Promise.all([this.#lines, this.#tool.ended]);
      if (total !== null) return total;
    } catch (error) {
      if (!hasCode(error, 'tool-failed')) throw error;
      throw new PgproofError('dump-unverified', `pg_restore cannot read what pg_dump wrote: ${error.message}`, {
        facts: error.facts,
        cause: error,
      });
    }
    throw new PgproofError('dump-unverified', 'pg_restore --list does not say how many entries there are');
  }
}

type ListLines = { total: number | null };

/** The head of the list says it: `;     TOC Entries: 13`. */
async function countLines({ stdout }: ToolProcess): Promise<ListLines> {
  let head = '';
  for await (const chunk of stdout) if (head.length < 4096) head += (chunk as Buffer).toString('latin1');
  const total = /^;\s+TOC Entries: (\d+)$/m.exec(head)?.[1];
  return { total: total === undefined ? null : Number(total) };
}
