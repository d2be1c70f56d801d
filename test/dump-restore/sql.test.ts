import { describe, expect, test } from 'vitest';
import { databaseArg, LineCutter, SqlReader } from '../../core/sql-text.ts';
import { selectionArgs } from '../../dump/restore/argv.ts';
import { planGlobals, statementsOf } from '../../dump/restore/globals-plan.ts';
import { NeedsReader } from '../../dump/restore/needs.ts';
import { type DumpRestoreOptions, dumpRestoreOptions } from '../../dump/restore/options.ts';
import { ScriptFilter } from '../../dump/restore/script.ts';

function pieces(sql: string, size = sql.length): { kind: string; text: string }[] {
  const cutter = new LineCutter();
  const reader = new SqlReader();
  const bytes = Buffer.from(sql, 'latin1');
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += size) lines.push(...cutter.lines(bytes.subarray(at, at + size)));
  return [...lines, ...cutter.end()].flatMap((line) => reader.line(line));
}
const statements = (sql: string) => pieces(sql).map(({ kind, text }) => (kind === 'command' ? text : `${text};`));

describe('SQL is cut into statements', () => {
  test.each([
    [`SELECT ';';SELECT 2;`, [`SELECT ';';`, 'SELECT 2;']],
    [`SELECT 'it''s;' ;`, [`SELECT 'it''s;';`]],
    [`SELECT E'\\';', 'a\\';`, [`SELECT E'\\';', 'a\\';`]],
    [`SELECT "a;""b";`, [`SELECT "a;""b";`]],
    [`DO $$ BEGIN; END $$; DO $a$ ; $$ ; $a$;`, ['DO $$ BEGIN; END $$;', 'DO $a$ ; $$ ; $a$;']],
    [`SELECT a$1$b;`, ['SELECT a$1$b;']],
    [`-- it's; a comment\nSELECT 1 /* ; /* ' */ ; */ ;`, ['SELECT 1;']],
    [`COPY t (a) FROM stdin;\n1;'\n\\! id\n\\.\nSELECT 2;`, ['COPY t (a) FROM stdin;', 'SELECT 2;']],
    [`SELECT 1 \\! id\nSELECT 2;`, ['\\! id', 'SELECT 1 \nSELECT 2;']],
    [`SELECT '\\! id';`, [`SELECT '\\! id';`]],
    [`SELECT 'a\nb;';`, [`SELECT 'a\nb;';`]],
  ])('%s', (sql, expected) => {
    expect(statements(sql)).toEqual(expected);
    for (const size of [1, 3]) expect(pieces(sql, size)).toEqual(pieces(sql));
  });
});

test('what a dump needs is read from its own SQL, and not from texts in it', () => {
  const reader = new NeedsReader();
  reader.take(
    Buffer.from(`CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;
CREATE SCHEMA "My Schema";
ALTER TABLE public.t OWNER TO "Ann O'Hara";
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$
ALTER TABLE public.t OWNER TO nobody;
$$;
SET default_tablespace = '';
SET default_tablespace = fast;
CREATE TABLE public."a.b" (x int);
CREATE UNLOGGED TABLE s.t2 (x int);
GRANT SELECT ON TABLE public.t TO PUBLIC;
GRANT SELECT ON TABLE public.t TO reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO reader;
\\connect elsewhere
COPY public.t FROM stdin;
ALTER TABLE x OWNER TO not_read;
`),
  );
  expect(reader.done).toBe(true);
  expect(reader.end()).toEqual({
    roles: ["Ann O'Hara", 'reader', 'maker'],
    extensions: ['uuid-ossp'],
    tablespaces: ['fast'],
    tables: [
      { schema: 'public', name: 'a.b' },
      { schema: 's', name: 't2' },
    ],
    schemas: ['My Schema'],
    commands: ['\\connect elsewhere'],
    setsTransactionTimeout: false,
  });
});

describe('a plain dump on its way to psql', () => {
  const dump = `--\n-- PostgreSQL database dump\n--\n\n\\restrict Key1\n\nSET transaction_timeout = 0;\nCOPY t FROM stdin;\n\\restrict Other\n\\.\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict Key1\n\n`;
  const filtered = (
    text: string,
    size: number,
    options = { restrict: true, withoutTransactionTimeout: false },
  ): string => {
    const filter = new ScriptFilter(options);
    const bytes = Buffer.from(text);
    const out: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) out.push(Buffer.from(filter.take(bytes.subarray(at, at + size))));
    return Buffer.concat([...out, filter.end()]).toString();
  };

  test.each([7, 65_536, 1 << 20])('is restricted by a key of ours, and never lifts that (chunks of %i)', (size) => {
    const long = dump.replace('\\restrict Other', `${'row\n'.repeat(20_000)}\\restrict Other`);
    const text = filtered(long, size);
    expect(text).toMatch(/^\\restrict [0-9a-f]{64}\n--\n/);
    expect(text.slice(text.indexOf('\n') + 1)).toBe(
      long.replace('\\restrict Key1\n', '').replace('\n\\unrestrict Key1', ''),
    );
  });

  test('keeps what psql and the server know, and loses what they do not', () => {
    const text = filtered(dump, 9, { restrict: false, withoutTransactionTimeout: true });
    expect(text).not.toContain('Key1');
    expect(text).not.toContain('transaction_timeout');
    expect(text).toContain('COPY t FROM stdin;\n\\restrict Other\n\\.\n');
  });

  test('keeps a row that reads like a setting, and is looked at at once however it begins', () => {
    const rows = `${'\n'.repeat(1000)}SET a = 1;\nCOPY t FROM stdin;\nSET transaction_timeout = 0;\n\\.\n-- PostgreSQL database dump complete\n`;
    expect(filtered(rows, 100, { restrict: false, withoutTransactionTimeout: true })).toBe(rows);
  });

  test('that was cut off is no dump: psql would take it for a whole one', () => {
    expect(() => filtered(dump.slice(0, dump.indexOf('\\.')), 100)).toThrow(
      expect.objectContaining({ code: 'object-damaged' }),
    );
  });
});

describe('globals', () => {
  const there = statementsOf(
    Buffer.from(`SET client_encoding = 'UTF8';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
CREATE ROLE same;
ALTER ROLE same WITH LOGIN PASSWORD 'SCRAM-1';
CREATE ROLE other;
ALTER ROLE other WITH LOGIN PASSWORD 'SCRAM-2';
GRANT same TO other WITH INHERIT TRUE GRANTED BY postgres;
`),
  );
  const dump = statementsOf(
    Buffer.from(`\\restrict Key
SET client_encoding = 'UTF8';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER PASSWORD 'SCRAM-9';
CREATE ROLE same;
ALTER ROLE same WITH LOGIN PASSWORD 'SCRAM-1';
CREATE ROLE other;
ALTER ROLE other WITH NOLOGIN;
CREATE ROLE fresh;
ALTER ROLE fresh WITH LOGIN PASSWORD 'a;''b';
COMMENT ON ROLE fresh IS 'two
lines';
GRANT same TO other GRANTED BY postgres;
GRANT same TO fresh GRANTED BY gone;
ALTER ROLE fresh IN DATABASE shop SET work_mem TO '1GB';
CREATE TABLESPACE fast OWNER postgres LOCATION '/mnt/fast';
\\unrestrict Key
`),
  );
  const fresh = [
    'CREATE ROLE fresh',
    `ALTER ROLE fresh WITH LOGIN PASSWORD 'a;''b'`,
    `COMMENT ON ROLE fresh IS 'two\nlines'`,
    'GRANT same TO fresh',
  ];

  test('that the server lacks are made, and what differs is told and left alone', () => {
    const plan = planGlobals(dump, there, 'missing', 'postgres');
    expect(plan).toMatchObject({ run: fresh, makes: ['fresh'] });
    expect(plan.conflicts).toEqual([
      expect.stringContaining("Role 'postgres'"),
      expect.stringContaining("Role 'other'"),
      expect.stringContaining("role 'fresh' in single databases"),
      expect.stringContaining("Tablespace 'fast'"),
    ]);
    expect(plan.conflicts.join()).not.toContain('SCRAM');
  });

  test('drop nothing, and make nothing but roles, whatever stands among them', () => {
    const more = statementsOf(
      Buffer.from(`DROP ROLE IF EXISTS other;
DROP TABLESPACE slow;
CREATE ROLE fresh;
GRANT SET ON PARAMETER work_mem TO fresh;
DROP DATABASE shop;
CREATE TABLE public.t (secret text);
COPY public.t (secret) FROM PROGRAM 'id';
`),
    );
    for (const mode of ['missing', 'replace'] as const) {
      const plan = planGlobals(more, there, mode, 'postgres');
      expect(plan.run).toEqual(['CREATE ROLE fresh', 'GRANT SET ON PARAMETER work_mem TO fresh']);
      expect(plan.conflicts).toHaveLength(5);
      expect(plan.conflicts).toContain('Left out, because it makes no role: DROP DATABASE ….');
    }
  });

  test('replace what differs on wish, but never the role that restores', () => {
    const plan = planGlobals(dump, there, 'replace', 'postgres');
    expect(plan.run).toEqual(['ALTER ROLE other WITH NOLOGIN', ...fresh]);
    expect(plan.conflicts[0]).toContain("Role 'postgres'");
  });
});

test('a name of a database is never a connection string', () => {
  expect(databaseArg(`host=evil 'x' \\`)).toBe(`dbname='host=evil \\'x\\' \\\\'`);
});

test('a table or schema that is asked for has to be in the dump: nothing restored is no success', () => {
  const args = (options: DumpRestoreOptions) =>
    selectionArgs({ options: dumpRestoreOptions.parse(options), noTablespaces: false, listFile: null });
  expect(args({ tables: ['t'] })).toEqual(['--table=t', '--strict-names']);
  expect(args({ schemas: ['s'] })).toEqual(['--schema=s', '--strict-names']);
  expect(args({})).toEqual([]);
});
