/*
 * SQL as pg_dump, pg_dumpall and pg_restore write it, cut into statements: enough of psql's own lexer to know where one ends. Text is
 * latin1, a character a byte, so that no encoding is needed to cut it; names are decoded when they are read.
 */

export type SqlPiece =
  /** Without its semicolon, comments around it, and blanks at its ends. */
  | { kind: 'statement'; text: string }
  /** A psql command: from the backslash to the end of the line. */
  | { kind: 'command'; text: string };

type State =
  | { in: 'code' | 'string' | 'escaped' | 'name' | 'data' }
  | { in: 'comment'; depth: number }
  | { in: 'dollar'; tag: string };

/** Of a statement: who looks for what it needs, looks at its beginning. */
const keptCharacters = 1024 * 1024;

/** Takes SQL line by line, and answers what has ended with each. Rows of COPY … FROM stdin are passed over. */
export class SqlReader {
  #state: State = { in: 'code' };
  #text = '';
  #copies = false;

  /** Whether the next line is a row of COPY. */
  get inData(): boolean {
    return this.#state.in === 'data';
  }

  line(line: string): SqlPiece[] {
    if (this.#state.in === 'data') {
      if (line === '\\.' || line === '\\.\r') this.#state = { in: 'code' };
      return [];
    }
    const pieces: SqlPiece[] = [];
    let at = 0;
    while (at < line.length) at = this.#step(line, at, pieces);
    this.#keep('\n');
    if (this.#copies && this.#state.in === 'code') this.#state = { in: 'data' };
    this.#copies = false;
    return pieces;
  }

  /** @returns where to go on. */
  #step(line: string, at: number, pieces: SqlPiece[]): number {
    const state = this.#state;
    switch (state.in) {
      case 'string':
        return this.#until(line, at, "'");
      case 'name':
        return this.#until(line, at, '"');
      case 'escaped':
        return this.#escaped(line, at);
      case 'comment':
        return this.#comment(line, at, state.depth);
      case 'dollar': {
        const end = line.indexOf(state.tag, at);
        if (end < 0) return this.#take(line, at, line.length);
        this.#state = { in: 'code' };
        return this.#take(line, at, end + state.tag.length);
      }
      default:
        return this.#code(line, at, pieces);
    }
  }

  #code(line: string, at: number, pieces: SqlPiece[]): number {
    const sign = line[at] as string;
    if (sign === ';') {
      this.#end(pieces);
      return at + 1;
    }
    if (sign === '\\') {
      pieces.push({ kind: 'command', text: line.slice(at) });
      return line.length;
    }
    if (line.startsWith('--', at)) return line.length;
    if (line.startsWith('/*', at)) {
      this.#state = { in: 'comment', depth: 1 };
      return at + 2;
    }
    if (sign === "'")
      this.#state = { in: /[eE]/.test(line[at - 1] ?? '') && !isWord(line[at - 2]) ? 'escaped' : 'string' };
    else if (sign === '"') this.#state = { in: 'name' };
    else if (sign === '$' && !isWord(line[at - 1])) {
      const tag = /^\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$/.exec(line.slice(at, at + 256))?.[0];
      if (tag !== undefined) {
        this.#state = { in: 'dollar', tag };
        return this.#take(line, at, at + tag.length);
      }
    }
    return this.#take(line, at, at + 1);
  }

  /** A doubled quote closes and opens again, which comes to the same. */
  #until(line: string, at: number, quote: string): number {
    const end = line.indexOf(quote, at);
    if (end < 0) return this.#take(line, at, line.length);
    this.#state = { in: 'code' };
    return this.#take(line, at, end + 1);
  }

  #escaped(line: string, at: number): number {
    const sign = line[at];
    if (sign === '\\') return this.#take(line, at, Math.min(at + 2, line.length));
    if (sign === "'" && line[at + 1] === "'") return this.#take(line, at, at + 2);
    if (sign === "'") this.#state = { in: 'code' };
    return this.#take(line, at, at + 1);
  }

  #comment(line: string, at: number, depth: number): number {
    const mark = /\/\*|\*\//g;
    mark.lastIndex = at;
    const found = mark.exec(line);
    if (found === null) return line.length;
    const left = depth + (found[0] === '/*' ? 1 : -1);
    this.#state = left === 0 ? { in: 'code' } : { in: 'comment', depth: left };
    return mark.lastIndex;
  }

  #end(pieces: SqlPiece[]): void {
    const text = this.#text.trim();
    this.#text = '';
    if (text === '') return;
    this.#copies = /^COPY\s[\s\S]*\sFROM\s+stdin/i.test(text);
    pieces.push({ kind: 'statement', text });
  }

  #take(line: string, from: number, to: number): number {
    this.#keep(line.slice(from, to));
    return to;
  }

  #keep(text: string): void {
    if (this.#text.length < keptCharacters) this.#text += text;
  }
}

const isWord = (sign: string | undefined): boolean => sign !== undefined && /[\w$\x80-\xff]/.test(sign);

/** A name as it stands in SQL, at the end of a regular expression's source. */
export const namePattern = '("(?:[^"]|"")+"|[^\\s;,("]+)';

/** `"Ann O''Hara"` as people call it. */
export function readName(quoted: string): string {
  const plain = quoted.startsWith('"') ? quoted.slice(1, -1).replaceAll('""', '"') : quoted;
  return new TextDecoder().decode(Uint8Array.from(plain, (sign) => sign.charCodeAt(0)));
}

/** For `--dbname`: a name that looks like an option or a connection string is a name all the same. */
export const databaseArg = (name: string): string => `dbname='${name.replace(/[\\']/g, '\\$&')}'`;

/**
 * The database of a `\connect` that pg_dump or pg_dumpall wrote: its name, quoted or not, or a connection string of nothing but that.
 * Null: they write no such.
 */
export function readConnect(command: string): string | null {
  const [, reuses, bare, quoted] =
    /^\\connect (-reuse-previous=on )?(?:([\w.\x80-\xff]+)|("(?:[^"]|"")*"))\s*$/.exec(command) ?? [];
  const name = bare ?? quoted;
  if (name === undefined) return null;
  const plain = readName(name);
  if (reuses === undefined) return plain;
  const named = /^dbname='((?:[^'\\]|\\.)*)'$/s.exec(plain)?.[1];
  return named === undefined ? null : named.replace(/\\(.)/gs, '$1');
}

/** Cuts a stream of bytes into lines, latin1, without their ends. */
export class LineCutter {
  #rest = '';

  lines(chunk: { toString(encoding: 'latin1'): string }): string[] {
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = lines.pop() as string;
    return lines;
  }

  end(): string[] {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? [] : [rest];
  }
}
