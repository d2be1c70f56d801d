import { describe, expect, test } from 'vitest';
import { refuseUnconfirmed } from '../../dump/restore/confirm.ts';
import { createStatement, isMarked } from '../../dump/restore/database.ts';
import { judgeFit, refuseUnfit } from '../../dump/restore/fit.ts';
import type { FitQuestion } from '../../dump/restore/fit-question.ts';
import { dumpRestoreOptions } from '../../dump/restore/options.ts';
import type { DumpPlan } from '../../dump/restore/plan-record.ts';
import { markerOf } from '../../dump/restore/start.ts';

const server: FitQuestion['server'] = {
  major: 15,
  versionText: '15.18',
  systemId: null,
  inRecovery: false,
  user: 'postgres',
  superuser: true,
  createdb: true,
  roles: ['postgres', 'app'],
  memberOf: ['postgres'],
  extensions: ['pg_trgm'],
  tablespaces: ['pg_default', 'pg_global'],
  encodings: ['UTF8', 'LATIN1'],
  database: null,
};
const taken = {
  major: 15,
  version: '15.18',
  systemId: null,
  inRecovery: false,
  encoding: 'UTF8',
  collate: 'C',
  ctype: 'C',
  owner: 'app',
};
const source: FitQuestion['source'] = {
  what: 'the dump',
  kind: 'database',
  format: 'custom',
  content: 'all',
  server: taken,
  globals: true,
  trusted: true,
};
const needs = {
  roles: ['app'],
  extensions: [],
  tablespaces: [],
  tables: [],
  schemas: [],
  commands: [],
  setsTransactionTimeout: false,
};
const there = {
  owner: 'app',
  encoding: 'UTF8',
  collate: 'C',
  ctype: 'C',
  holds: null,
  tables: [],
  schemas: ['public'],
  sessions: 0,
};
const options = dumpRestoreOptions.parse({});
const question: FitQuestion = {
  source,
  server,
  database: 'new',
  mode: 'new',
  options,
  needs,
  madeRoles: [],
  refusedLocale: null,
  knowsRestrict: true,
};

test('what fits is refused nothing, and needs no note', () => {
  expect(judgeFit(question)).toEqual({ refusals: [], notes: [], noTablespaces: false });
});

describe('is refused, with what would mend it', () => {
  const cases: [string, Partial<FitQuestion>, string, RegExp, RegExp][] = [
    ['a standby', { server: { ...server, inRecovery: true } }, 'server-in-recovery', /standby/, /primary/],
    [
      'a name that is taken',
      { server: { ...server, database: there } },
      'database-exists',
      /'new' exists/,
      /--existing/,
    ],
    [
      'a role that may make no database',
      { server: { ...server, createdb: false } },
      'rights-missing',
      /databases/,
      /--user/,
    ],
    ['a database that is not there', { mode: 'existing' }, 'database-missing', /no database 'new'/, /--existing/],
    [
      'a database that is not empty',
      { mode: 'existing', server: { ...server, database: { ...there, holds: 'it holds 2 tables' } } },
      'database-not-empty',
      /2 tables/,
      /--clean/,
    ],
    [
      'an owner who is missing',
      { needs: { ...needs, roles: ['ann', 'app'] } },
      'dump-unfit',
      /'ann'/,
      /--globals.*--no-owner/,
    ],
    [
      'a table that is there already',
      {
        mode: 'add',
        needs: { ...needs, tables: [{ schema: 'public', name: 'orders' }] },
        server: { ...server, database: { ...there, holds: 'a table', tables: [{ schema: 'public', name: 'orders' }] } },
      },
      'database-not-empty',
      /'public.orders' is there already/,
      /--clean/,
    ],
    [
      'an owner whom the role may not act for',
      { server: { ...server, superuser: false } },
      'rights-missing',
      /'app' own/,
      /--no-owner/,
    ],
    [
      'an extension that is missing',
      { needs: { ...needs, extensions: ['postgis'] } },
      'dump-unfit',
      /'postgis'/,
      /packages/,
    ],
    [
      'a tablespace that the SQL names',
      { source: { ...source, format: 'plain' }, needs: { ...needs, tablespaces: ['fast'] } },
      'dump-unfit',
      /'fast'/,
      /Make it/,
    ],
    [
      'an encoding that is unknown',
      { source: { ...source, server: { ...taken, encoding: 'EUC_XX' } } },
      'dump-unfit',
      /EUC_XX/,
      /by hand/,
    ],
    ['a locale that is missing', { refusedLocale: 'could not create locale "xx"' }, 'dump-unfit', /"xx"/, /by hand/],
    [
      'a collation provider that is missing',
      { source: { ...source, server: { ...taken, provider: 'builtin', locale: 'C.UTF-8' } } },
      'dump-unfit',
      /builtin/,
      /by hand/,
    ],
    [
      'one schema of a new database, which does not have it',
      { options: { ...options, schemas: ['sales'] } },
      'dump-unfit',
      /no schema 'sales'/,
      /--select/,
    ],
    [
      'one table in a schema that a database lacks',
      {
        mode: 'add',
        options: { ...options, tables: ['t'] },
        needs: { ...needs, tables: [{ schema: 'sales', name: 't' }] },
        server: { ...server, database: there },
      },
      'dump-unfit',
      /no schema 'sales'/,
      /--select/,
    ],
    ['globals', { source: { ...source, kind: 'globals' } }, 'dump-unfit', /globals of a server/, /--database/],
    ['a whole server', { source: { ...source, kind: 'cluster' } }, 'dump-unfit', /whole server/, /--database/],
    [
      'rows of a dump that has none',
      { source: { ...source, content: 'schema' }, options: { ...options, content: 'data' } },
      'usage',
      /schema only/,
      /another/,
    ],
    [
      'one table of SQL',
      { source: { ...source, format: 'plain' }, options: { ...options, tables: ['t'] } },
      'usage',
      /--table/,
      /new database/,
    ],
    [
      'SQL that nobody signed, where psql cannot be restricted',
      { source: { ...source, format: 'plain', trusted: false }, knowsRestrict: false },
      'dump-unfit',
      /commands/,
      /15\.14/,
    ],
    [
      'a command of psql in SQL that nobody signed',
      { source: { ...source, format: 'plain', trusted: false }, needs: { ...needs, commands: ['\\! id'] } },
      'dump-unfit',
      /\\! id/,
      /out of the file/,
    ],
  ];
  test.each(cases)('%s', (_, more, code, message, hint) => {
    const { refusals } = judgeFit({ ...question, ...more });
    expect(refusals).toMatchObject([{ code }]);
    expect(refusals[0]?.message).toMatch(message);
    expect(refusals[0]?.hint).toMatch(hint);
  });

  test('all of it at once', () => {
    const fit = judgeFit({ ...question, needs: { ...needs, roles: ['ann'], extensions: ['postgis'] } });
    expect(() => refuseUnfit(fit)).toThrow(/'ann'.*; .*'postgis'/);
  });
});

describe('is said beforehand', () => {
  const notes = (more: Partial<FitQuestion>) => judgeFit({ ...question, ...more }).notes.join(' ');
  test('another major, and an older one', () => {
    expect(notes({ server: { ...server, major: 18 } })).toContain('from PostgreSQL 15, and goes into 18');
    expect(notes({ source: { ...source, server: { ...taken, major: 16 } } })).toContain('which is older');
  });
  test('another encoding and order of a database that is there', () => {
    const database = { ...there, encoding: 'LATIN1', collate: 'de_DE', ctype: 'de_DE', sessions: 3 };
    const told = notes({ mode: 'existing', server: { ...server, database } });
    for (const what of ['LATIN1', 'de_DE', '3 other sessions']) expect(told).toContain(what);
  });
  test('what is dropped, or added to', () => {
    const database = { ...there, holds: 'it holds 2 tables' };
    expect(notes({ mode: 'clean', server: { ...server, database } })).toMatch(/dropped.*2 tables/);
    expect(notes({ mode: 'add', server: { ...server, database } })).toMatch(/comes to.*2 tables/);
  });
  test('tablespaces that are missing, which pg_restore can do without', () => {
    const fit = judgeFit({ ...question, needs: { ...needs, tablespaces: ['fast'] } });
    expect(fit).toMatchObject({ refusals: [], noTablespaces: true, notes: [expect.stringContaining("'fast'")] });
  });
  test('that nobody signed it, and with which rights it runs', () => {
    expect(notes({ source: { ...source, trusted: false } })).toMatch(/Nobody signed.*'postgres'/);
  });
});

test('a plan that changes a database which is there is not started before somebody has said its name', () => {
  const plan = { kind: 'dump', id: 'x', cluster: 'shop', database: 'live', mode: 'clean', confirmed: null } as DumpPlan;
  expect(() => refuseUnconfirmed(plan)).toThrow(/drops what the dump has in the database 'live'/);
  const confirmed = { by: 'a test', at: '2026-11-21T12:00:00Z' };
  expect(refuseUnconfirmed({ ...plan, confirmed })).toBeUndefined();
  expect(refuseUnconfirmed({ ...plan, mode: 'new', confirmed: 'not needed' })).toBeUndefined();
});

test('only a database that bears the mark of this very plan is dropped before it is made anew', () => {
  const [marker, another] = ['0badcafe', '0badcaff'].map((tag) =>
    markerOf({ id: `20261121T120000Z-restore-${tag}` }),
  ) as [string, string];
  const unlimited = -1;
  expect(isMarked({ comment: marker, connectionLimit: unlimited }, marker)).toBe(true);
  const made = createStatement({ name: 'shop', owner: null, marker }, null, 15);
  const connectionLimit = Number(/ CONNECTION LIMIT (\d+)$/.exec(made)?.[1]);
  expect(isMarked({ comment: null, connectionLimit }, marker)).toBe(true);
  expect(isMarked({ comment: null, connectionLimit }, another)).toBe(false);
  expect(isMarked(null, marker)).toBe(false);
  for (const comment of [null, '', 'the live one', another])
    expect(isMarked({ comment, connectionLimit: unlimited }, marker)).toBe(false);
});

test('roles that the globals bring are not missing', () => {
  expect(judgeFit({ ...question, needs: { ...needs, roles: ['ann'] }, madeRoles: ['ann'] }).refusals).toEqual([]);
});
