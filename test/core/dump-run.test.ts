import { expect, test } from 'vitest';
import { dumps } from '../../core/config/dumps.ts';
import { type DumpFailure, type DumpRow, incompleteRun } from '../../core/dump-run.ts';
import { shellQuoted } from '../../core/shell.ts';

const failure = (database: string): DumpFailure => ({
  subject: { kind: 'database', database },
  code: 'rights-missing',
  message: `the role may not read a table of ${database}`,
  report: `shop/reports/2026/11/${database}.json`,
});
const made = [{ id: '20261121T020000Z-logical-3fa94d11' }, { id: '20261121T020100Z-logical-3fa94d12' }] as DumpRow[];

test('a run that made some dumps and not others names those that failed, and why, and how to try them again', () => {
  expect(incompleteRun('shop', made, [failure('crm'), failure("bob's db")])).toEqual({
    code: 'dump-incomplete',
    message:
      "2 of 4 dumps of shop were not made: 'crm': the role may not read a table of crm [rights-missing]; 'bob's db': the role may not read a table of bob's db [rights-missing]",
    facts: {
      failed: ['crm', "bob's db"],
      dumped: made.map(({ id }) => id),
      report: 'shop/reports/2026/11/crm.json',
      reports: ['shop/reports/2026/11/crm.json', "shop/reports/2026/11/bob's db.json"],
    },
    hint: `Each left a report, which says what helps (pgproof reports shop --id …); the other dumps are whole. Afterwards: pgproof dump shop --database crm --database 'bob'\\''s db'`,
  });
});

test('of a thousand that failed a few are told, and all are facts', () => {
  const failed = Array.from({ length: 1000 }, (_, number) => failure(`db${number}`));
  const { message, facts } = incompleteRun('shop', [], failed);
  expect(message.length).toBeLessThan(1000);
  expect(message).toMatch(/^1000 of 1000 dumps of shop were not made: .*; and 995 more$/);
  expect(facts.failed).toHaveLength(1000);
});

test.each([
  ['shop', 'shop'],
  ['a b', "'a b'"],
  ['--tier', '--tier'],
  ["it's", "'it'\\''s'"],
  ['$(reboot)', "'$(reboot)'"],
  ['', "''"],
])('%j is told to be typed as %s', (text, typed) => {
  expect(shellQuoted(text)).toBe(typed);
});

test("the older scripts' layout wants plain SQL of every database, and the configuration says so", () => {
  const tiers = { export: { folder: '/srv/dumps', layout: 'tiers' } };
  const problem = (config: object) => dumps.safeParse({ ...tiers, ...config }).error?.issues[0]?.message;
  expect(problem({ format: 'plain' })).toBeUndefined();
  expect(problem({})).toBe("layout 'tiers' holds plain SQL: it needs format 'plain'");
  const perDatabase = { crm: { format: 'custom' } };
  expect(problem({ format: 'plain', perDatabase })).toBe(
    "layout 'tiers' holds plain SQL: it needs format 'plain' of database 'crm'",
  );
  expect(problem({ export: { folder: '/srv/dumps' }, perDatabase })).toBeUndefined();
});
