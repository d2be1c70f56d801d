import { type ArchiveCheck, unverified } from './check.ts';

/** Since the minor releases of August 2025 a dump locks psql's commands while it is read, and unlocks them at its end. */
const unlock = String.raw`(?:\\unrestrict [A-Za-z0-9]+\n\n)?`;
const ends = {
  pg_dump: new RegExp(`\\n--\\n-- PostgreSQL database dump complete\\n--\\n\\n${unlock}$`),
  pg_dumpall: /\n--\n-- PostgreSQL database cluster dump complete\n--\n\n$/,
};

const tailBytes = 512;

/** SQL is whole when its last lines are pg_dump's own: a row that holds the same words is not at the end. */
export class PlainCheck implements ArchiveCheck {
  readonly toc = undefined;
  readonly #program: keyof typeof ends;
  #tail: Buffer = Buffer.alloc(0);

  constructor(program: keyof typeof ends) {
    this.#program = program;
  }

  read(chunk: Buffer): void {
    const end = chunk.subarray(-tailBytes);
    this.#tail = Buffer.concat([this.#tail, end]).subarray(-tailBytes);
  }

  finish(): null {
    if (ends[this.#program].test(this.#tail.toString('latin1'))) return null;
    throw unverified(`it does not end as ${this.#program} ends one`);
  }
}
