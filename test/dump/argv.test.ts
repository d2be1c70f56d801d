import { expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { type DumpOptions, decideDump } from '../../core/dump.ts';
import { databaseArg, dumpArgs, dumpallArgs } from '../../dump/argv.ts';
import { targetOf } from './support.ts';

const { connection } = configSchema.parse({
  hosts: { h: {} },
  repositories: { r: { type: 'file', path: '/r' } },
  clusters: { shop: { host: 'h', connection: { socket: '/s', user: 'u' }, repositories: ['r'] } },
}).clusters.shop!;

const argsOf = (database: string, options: DumpOptions = {}, major = 18, compression = 'zstd:3') =>
  dumpArgs(connection, { ...targetOf(database, options), database }, { major, compression, destination: null });

test.each([
  ['host=evil', "dbname='host=evil'"],
  ["it's", String.raw`dbname='it\'s'`],
  ['back\\slash', String.raw`dbname='back\\slash'`],
  ['--help', "dbname='--help'"],
  ['postgresql://evil/x', "dbname='postgresql://evil/x'"],
  ['with space', "dbname='with space'"],
])('a database called %s is a name in a connection string, and never one itself', (name, quoted) => {
  expect(databaseArg(name)).toBe(quoted);
  expect(argsOf(name)).toContain(`--dbname=${quoted}`);
});

test('no value that somebody chose stands alone, where it could be taken for an option', () => {
  const args = argsOf('-x', {
    tables: ['--file=/etc/passwd', '-f'],
    excludeTables: ['-h'],
    excludeTableData: ['--x'],
    schemas: ['-n'],
    excludeSchemas: ['-N'],
  });
  const own = new Set(['-h', '-p', '-U', '-w', '--strict-names']);
  expect(args.slice(7).filter((arg) => !/^--[a-z-]+=/.test(arg) && !own.has(arg))).toEqual([]);
  expect(args).toEqual(expect.arrayContaining(['--table=--file=/etc/passwd', '--table=-f', '--exclude-table=-h']));
});

test('compression is told in the words of each version', () => {
  expect(argsOf('a', {}, 18, 'gzip:6')).toContain('--compress=gzip:6');
  expect(argsOf('a', {}, 15, 'gzip:6')).toContain('--compress=6');
  expect(argsOf('a', {}, 15, 'none')).toContain('--compress=0');
  expect(argsOf('a', { format: 'plain' }).filter((arg) => arg.startsWith('--compress'))).toEqual([]);
});

test('options become those of pg_dump and pg_dumpall', () => {
  const options = { content: 'schema', owner: false, privileges: false, encoding: 'LATIN1' } as const;
  const said = ['--schema-only', '--no-owner', '--no-privileges', '--encoding=LATIN1'];
  expect(argsOf('a', options)).toEqual(expect.arrayContaining(said));
  const all = dumpallArgs(connection, { globals: false, options: decideDump(options) }, true);
  expect(all).toEqual(expect.arrayContaining(said));
  expect(all).not.toContain('--globals-only');
  const globals = dumpallArgs(connection, { globals: true, encoding: null }, false);
  expect(globals).toEqual(
    expect.arrayContaining(['--globals-only', '--no-role-passwords', "--database=dbname='postgres'"]),
  );
});
