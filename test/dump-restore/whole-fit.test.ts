import { describe, expect, test } from 'vitest';
import { planGlobals, statementsOf } from '../../dump/restore/globals-plan.ts';
import {
  refuseUnfitWhole,
  refuseWithoutTablespaces,
  refuseWrongDump,
  type WholeQuestion,
} from '../../dump/restore/whole/fit.ts';
import { GlobalsHead } from '../../dump/restore/whole/head.ts';
import { WholeScript } from '../../dump/restore/whole/script.ts';

describe('the globals at the beginning of a whole server', () => {
  const globals = `\\restrict Key1\nSET client_encoding = 'UTF8';\nCREATE ROLE app;\nCOMMENT ON ROLE app IS '\n\\connect nowhere\nCREATE DATABASE no;';\n`;
  const read = (sql: string, size: number): GlobalsHead => {
    const head = new GlobalsHead();
    const bytes = Buffer.from(sql);
    for (let at = 0; at < bytes.length; at += size) head.take(bytes.subarray(at, at + size));
    return head;
  };
  test.each([1, 7, 10_000])('end where the first database begins, and not at texts in them (chunks of %i)', (size) => {
    const restricted = read(`${globals}\\unrestrict Key1\n\\connect template1\nSELECT 1;\n`, size);
    expect(restricted).toMatchObject({ done: true, settings: `SET client_encoding = 'UTF8';\n` });
    expect(restricted.bytes).toBe(Buffer.byteLength(`${globals}\\unrestrict Key1\n`));
    // Without template1, a database is made under the key that it lifts afterwards.
    const bare = read(`${globals}CREATE DATABASE "ü";\n\\unrestrict Key1\n\\connect "ü"\n`, size);
    expect(bare).toMatchObject({ done: true, settings: `SET client_encoding = 'UTF8';\n` });
    expect(bare.bytes).toBe(Buffer.byteLength(globals));
    expect(read(globals, size).done).toBe(false);
  });
});

describe('the script of a whole server', () => {
  const rows = `COPY t (a) FROM stdin;\n\\restrict row\n\\connect row\n\\\\.\n${'x'.repeat(50)}\n\\.\n`;
  const text = `SELECT '\n\\connect text';\n`;
  const end = '--\n-- PostgreSQL database cluster dump complete\n--\n\n';
  const read = async (sql: string, size: number): Promise<[string | null, string][]> => {
    const chunks = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < sql.length; at += size) yield Buffer.from(sql.slice(at, at + size), 'latin1');
    };
    const script = new WholeScript(chunks());
    const sections: [string | null, string][] = [];
    while (script.database !== null) {
      const section: [string | null, string] = [script.database, ''];
      await script.readSection(async (chunk) => {
        section[1] += chunk.toString('latin1');
      });
      sections.push(section);
    }
    return sections;
  };
  const odd = Buffer.from(`\\connect -reuse-previous=on "dbname='it\\'s ""ü"" host=evil'"\n`).toString('latin1');
  const whole = `CREATE DATABASE crm;\n\\unrestrict a\n\\connect crm\n\\restrict b\n${rows}${text}\\! true\n\\encoding SQL_ASCII\n${odd}${rows}${end}`;
  test.each([1, 7, 10_000])(
    'is cut where it connects, not at rows or texts, and lifts nothing (chunks of %i)',
    async (size) => {
      expect(await read(whole, size)).toEqual([
        ['postgres', 'CREATE DATABASE crm;\n'],
        ['crm', `${rows}${text}\\! true\n`],
        [`it's "ü" host=evil`, `${rows}${end}`],
      ]);
    },
  );
  test('that was cut off is none, whatever its last row says', async () => {
    for (const cut of ['SELECT 1;\n', `COPY t (a) FROM stdin;\n${end}`, `${end}SELECT 1;\n`])
      await expect(read(cut, 7)).rejects.toMatchObject({ code: 'object-damaged' });
    expect(await read(`SELECT 1;\n${end.trimEnd()}`, 7)).toHaveLength(1);
  });
  test('that connects to anything but a database is refused', async () => {
    for (const to of ['`touch evil`', ':name', 'a b', `-reuse-previous=on "dbname='a' host='evil'"`, `"host=evil"x`])
      await expect(read(`\\connect ${to}\n${end}`, 7)).rejects.toMatchObject({ code: 'dump-unfit' });
  });
});

test('of a role that is there, what the dump says otherwise is told without its secrets', () => {
  const there = statementsOf(
    Buffer.from(`CREATE ROLE "a b";
ALTER ROLE "a b" WITH NOSUPERUSER NOLOGIN CONNECTION LIMIT 5 PASSWORD 'SCRAM-1';
CREATE TABLESPACE fast OWNER postgres LOCATION '/mnt/a';
`),
  );
  const dump = statementsOf(
    Buffer.from(`CREATE ROLE "a b";
ALTER ROLE "a b" WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-2' VALID UNTIL '2027-01-01 00:00:00+00';
ALTER ROLE "a b" SET "app.key" TO 'SCRAM-3';
COMMENT ON ROLE "a b" IS 'SCRAM-4';
GRANT pg_monitor TO "a b" GRANTED BY postgres;
CREATE TABLESPACE fast OWNER postgres LOCATION '/mnt/b';
`),
  );
  const plan = planGlobals(dump, there, 'missing', 'postgres');
  expect(plan).toMatchObject({ run: [], makes: [] });
  expect(plan.conflicts).toEqual([
    `Role 'a b' exists otherwise than in the dump (there: LOGIN, another password, VALID UNTIL '2027-01-01 00:00:00+00', no CONNECTION LIMIT, the setting "app.key", its comment, member of 'pg_monitor'), and is left alone.`,
    expect.stringMatching(/^Tablespace 'fast' exists, .* left alone/),
  ]);
});

describe('a whole server is restored only', () => {
  const question: WholeQuestion = {
    source: { what: 'it', kind: 'cluster', content: 'all', server: null, toolVersion: '15.18', trusted: true },
    server: { major: 15, tablespaces: [], inRecovery: false },
    occupied: { databases: ['postgres', 'template0', 'template1'], holds: { postgres: null, template1: null } },
  };
  const refusal = (more: Partial<WholeQuestion>): unknown => {
    try {
      refuseWrongDump({ ...question.source, ...more.source });
      return refuseUnfitWhole({ ...question, ...more });
    } catch (error) {
      return error;
    }
  };
  test('into a server that is empty', () => {
    expect(refusal({})).toBeUndefined();
    const empty = question.occupied!;
    expect(refusal({ occupied: { ...empty, databases: [...empty.databases, 'shop'] } })).toMatchObject({
      code: 'database-not-empty',
      message: expect.stringContaining("'shop'"),
    });
    for (const name of ['postgres', 'template1'])
      expect(
        refusal({ occupied: { ...empty, holds: { ...empty.holds, [name]: 'it holds 1 functions' } } }),
      ).toMatchObject({
        code: 'database-not-empty',
        message: expect.stringContaining(`in '${name}' it holds 1 functions`),
      });
  });
  test('where it has definitions, and the server is no older and no standby', () => {
    const { source, server } = question;
    for (const more of [
      { source: { ...source, content: 'data' as const } },
      { source: { ...source, toolVersion: '17.2' } },
      { server: { ...server, inRecovery: true } },
    ])
      expect(refusal(more)).toMatchObject({ code: 'dump-unfit' });
    expect(refusal({ source: { ...source, kind: 'database' } })).toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--database'),
    });
  });
  test('where its tablespaces are, whose folders are of a machine', () => {
    const globals = [`CREATE TABLESPACE "fast one" OWNER postgres LOCATION '/mnt/fast'`];
    expect(() => refuseWithoutTablespaces(globals, question.server)).toThrow(/no tablespace 'fast one'/);
    expect(refuseWithoutTablespaces(globals, { ...question.server, tablespaces: ['fast one'] })).toBeUndefined();
  });
});
