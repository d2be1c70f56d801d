import type { ArchiveCheck } from './check.ts';
import { unverified } from './unverified.ts';

type Program = 'pg_dump' | 'pg_dumpall';

const ends: Record<Program, RegExp> = {
  pg_dump: /\n--\n-- PostgreSQL database dump complete\n--\n\n(?:\\unrestrict [A-Za-z0-9]+\n\n)?$/,
  pg_dumpall: /(?:\n\\unrestrict [A-Za-z0-9]+\n[^\\]*)?\n--\n-- PostgreSQL database cluster dump complete\n--\n\n$/,
};

/**
 * Since the minor releases of August 2025 a dump locks psql's commands at its beginning, and unlocks them behind its last row. No row can
 * hold that line: COPY writes a backslash as two.
 */
const lock = /^--\n-- PostgreSQL database (?:cluster )?dump\n--\n\n\\restrict [A-Za-z0-9]+\n/;

const edgeBytes = 512;

/** SQL is whole when its last lines are pg_dump's own: a row that holds the same words is not at the end. */
export class PlainCheck implements ArchiveCheck {
  readonly toc = undefined;
  readonly #program: Program;
  #head: Buffer = Buffer.alloc(0);
  #tail: Buffer = Buffer.alloc(0);

  constructor(program: Program) {
    this.#program = program;
  }

  read(chunk: Buffer): void {
    if (this.#head.length < edgeBytes) this.#head = Buffer.concat([this.#head, chunk.subarray(0, edgeBytes)]);
    const end = chunk.subarray(-edgeBytes);
    this.#tail = Buffer.concat([this.#tail, end]).subarray(-edgeBytes);
  }

  finish(): null {
    const end = ends[this.#program].exec(this.#tail.toString('latin1'))?.[0];
    const isLocked = lock.test(this.#head.toString('latin1'));
    if (end !== undefined && (!isLocked || end.includes('\\unrestrict '))) return null;
    throw unverified(`it does not end as ${this.#program} ends one`);
  }
}
