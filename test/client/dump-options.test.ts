import { Command } from 'commander';
import { expect, test } from 'vitest';
import { dumpFlags, dumpRequestOf, flagsOf } from '../../client/dump-options.ts';
import { shellQuoted } from '../../core/shell.ts';

/** What somebody types, as the workflow gets it. */
function typed(...args: string[]) {
  const command = dumpFlags(new Command('dump').argument('<cluster>')).exitOverride();
  command.configureOutput({ writeErr: () => {} });
  const options = command.parse(['shop', ...args], { from: 'user' }).opts();
  return { request: dumpRequestOf(options, 'shop'), again: flagsOf(options) };
}

test('nothing is asked for beyond the cluster: its configuration decides', () => {
  const { request, again } = typed();
  const given = Object.entries(request).filter(([, value]) => value !== null && value !== undefined);
  expect(Object.fromEntries(given)).toEqual({ cluster: 'shop', tier: 'manual', kind: 'database', noWait: false });
  expect(again).toEqual([]);
});

test.each([
  [['--tier', 'weekly', '--database', 'crm', '--database', "it's"], { tier: 'weekly', databases: ['crm', "it's"] }],
  [['--format', 'directory', '-j', '4'], { format: 'directory', jobs: 4 }],
  [['--schema-only'], { content: 'schema' }],
  [['--data-only'], { content: 'data' }],
  [['-Z', '9'], { compression: 'gzip:9' }],
  [['-Z', '0'], { compression: 'none' }],
  [['--compression', 'zstd:3'], { compression: 'zstd:3' }],
  [['--table', 'a.*', '--table', 'b'], { tables: ['a.*', 'b'] }],
  [['--exclude-table', 'a', '--exclude-table-data', 'b'], { excludeTables: ['a'], excludeTableData: ['b'] }],
  [['--schema', 'a', '--exclude-schema', 'b'], { schemas: ['a'], excludeSchemas: ['b'] }],
  [['--no-owner', '--no-privileges', '--no-globals'], { owner: false, privileges: false, globals: false }],
  [['--globals-only'], { kind: 'globals' }],
  [['--all', '--encoding', 'UTF8'], { kind: 'cluster', encoding: 'UTF8' }],
  [['--prefer', 'standby'], { prefer: 'standby' }],
  [['--export', '/srv/dumps', '--layout', 'tiers'], { format: 'plain' }],
  [['--export', '/srv/dumps', '--layout', 'tiers', '--format', 'tar'], { format: 'tar' }],
])('%j is asked for as %j, and told again to be typed the same', (args, request) => {
  expect(typed(...args).request).toMatchObject(request);
  expect(typed(...typed(...args).again).request).toEqual(typed(...args).request);
});

test.each([
  [['--tier', 'Bad/Name'], 'tier "Bad/Name" is not usable: not a name'],
  [['--database', 'x'.repeat(64)], 'is not usable: at most 63 bytes'],
  [['--database', 'a\nb'], 'is not usable: without line ends'],
  [['--database', ''], 'databases [""] is not usable: not empty'],
  [['--encoding', '9x;y'], 'encoding "9x;y" is not usable'],
  [['--format', 'zip'], "argument 'zip' is invalid"],
  [['-j', '0'], 'a number from 1 to 64'],
  [['-j', 'two'], 'a number from 1 to 64'],
  [['-Z', '10'], 'a level from 0 to 9'],
  [['--compression', 'lz4'], 'auto, none, gzip:0'],
  [['-Z', '1', '--compression', 'none'], 'cannot be used with'],
  [['--schema-only', '--data-only'], 'cannot be used with'],
  [['--globals-only', '--database', 'crm'], 'cannot be used with'],
  [['--all', '--database', 'crm'], 'cannot be used with'],
])('%j is refused with what is wrong', (args, said) => {
  expect(() => typed(...args)).toThrow(said);
});

test('the command that is told again can be typed into a shell', () => {
  const { again } = typed('--database', "it's; reboot", '-Z', '9');
  expect(again.map(shellQuoted).join(' ')).toBe(`--database 'it'\\''s; reboot' -Z 9`);
});
