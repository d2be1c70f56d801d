import { LineCutter, namePattern, readName, SqlReader } from '../../core/sql-text.ts';

/** What a dump asks of the server that it is restored into, as its own SQL says. */
export type DumpNeeds = {
  /** Roles that own something in it, or that it grants something to. */
  roles: string[];
  extensions: string[];
  /** Apart from the database's own. */
  tablespaces: string[];
  /** Tables that it makes; `schema` null where old SQL names none. */
  tables: TableName[];
  /** Schemas that it makes. */
  schemas: string[];
  /** Of SQL: commands of psql that stand in it, other than \restrict, \unrestrict and the end of rows. */
  commands: string[];
  /** It was pg_dump 17 or newer that wrote this SQL. */
  setsTransactionTimeout: boolean;
};
export type TableName = { schema: string | null; name: string };

const dotted = `(?:${namePattern}\\.)?${namePattern}`.replaceAll('[^\\s;,("]+', '[^\\s;,.("]+');
const ownerOf = new RegExp(`^ALTER [\\s\\S]* OWNER TO ${namePattern}$`);
const granteeOf = new RegExp(
  `^(?:GRANT|ALTER DEFAULT PRIVILEGES)\\b[\\s\\S]* TO ${namePattern}(?: WITH GRANT OPTION)?$`,
);
const grantorOf = new RegExp(`^ALTER DEFAULT PRIVILEGES FOR ROLE ${namePattern}`);
const extensionOf = new RegExp(`^CREATE EXTENSION (?:IF NOT EXISTS )?${namePattern}`);
const schemaOf = new RegExp(`^CREATE SCHEMA (?:IF NOT EXISTS )?${namePattern}`);
const tableOf = new RegExp(`^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?${dotted}`);
const tablespaceOf = new RegExp(`^SET default_tablespace = (?!'')${namePattern}$`);

/** Reads SQL, chunk by chunk; `done` once rows begin, because pg_dump puts them behind all definitions of tables. */
export class NeedsReader {
  readonly #cutter = new LineCutter();
  readonly #sql = new SqlReader();
  readonly #sets = {
    roles: new Set<string>(),
    extensions: new Set<string>(),
    tablespaces: new Set<string>(),
    schemas: new Set<string>(),
  };
  readonly #tables: TableName[] = [];
  readonly #commands: string[] = [];
  #setsTransactionTimeout = false;

  get done(): boolean {
    return this.#sql.inData;
  }

  take(chunk: Buffer): void {
    for (const line of this.#cutter.lines(chunk)) {
      if (this.done) return;
      this.#line(line);
    }
  }

  end(): DumpNeeds {
    for (const line of this.#cutter.end()) if (!this.done) this.#line(line);
    const { roles, extensions, tablespaces, schemas } = this.#sets;
    return {
      roles: [...roles].filter((name) => name !== 'PUBLIC'),
      extensions: [...extensions],
      tablespaces: [...tablespaces],
      tables: this.#tables,
      schemas: [...schemas],
      commands: this.#commands,
      setsTransactionTimeout: this.#setsTransactionTimeout,
    };
  }

  #line(line: string): void {
    for (const { kind, text } of this.#sql.line(line)) {
      if (kind === 'statement') this.#statement(text);
      else if (!/^\\(?:un)?restrict\b/.test(text) && this.#commands.length < 20)
        this.#commands.push(text.slice(0, 100));
    }
  }

  #statement(text: string): void {
    const { roles, extensions, tablespaces, schemas } = this.#sets;
    const first = (pattern: RegExp, into: Set<string>): void => {
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) into.add(readName(found));
    };
    first(ownerOf, roles);
    first(granteeOf, roles);
    first(grantorOf, roles);
    first(extensionOf, extensions);
    first(tablespaceOf, tablespaces);
    first(schemaOf, schemas);
    const table = tableOf.exec(text);
    if (table !== null)
      this.#tables.push({
        schema: table[1] === undefined ? null : readName(table[1]),
        name: readName(table[2] as string),
      });
    if (text === 'SET transaction_timeout = 0') this.#setsTransactionTimeout = true;
  }
}
