import { expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { targetsOf, wantedOf } from '../../dump/targets.ts';

const configOf = (dumps: object, tools: object = {}) =>
  configSchema.parse({
    hosts: { h: {} },
    repositories: { r: { type: 'file', path: '/r' } },
    clusters: { shop: { host: 'h', connection: { socket: '/s' }, repositories: ['r'], dumps, tools } },
  }).clusters.shop!;

const facts = (name: string, more: object = {}) => ({
  name,
  encoding: 'UTF8',
  collate: 'C',
  ctype: 'C',
  provider: 'libc' as const,
  locale: null,
  owner: 'postgres',
  isTemplate: false,
  isOpen: true,
  ...more,
});
const databases = [
  facts('crm'),
  facts('half dropped', { isOpen: false }),
  facts('postgres'),
  facts('template1', { isTemplate: true }),
];
const asked = { kind: 'database', tier: 'daily', databases: null } as const;
const plan = (config: ReturnType<typeof configOf>, request: object = {}) =>
  targetsOf(wantedOf(config, { ...asked, ...request }), { ...asked, ...request }, databases);

test('all databases are those that take connections and are no templates', () => {
  expect(plan(configOf({})).map(({ database }) => database)).toEqual(['crm', 'postgres']);
});

test('the request stands above the options of its database, these above those of all', () => {
  const config = configOf({
    databases: ['crm'],
    format: 'tar',
    owner: false,
    perDatabase: { crm: { format: 'plain' } },
  });
  expect(plan(config)).toMatchObject([{ database: 'crm', tier: 'daily', options: { format: 'plain', owner: false } }]);
  expect(plan(config, { format: 'custom' })).toMatchObject([{ options: { format: 'custom', owner: false } }]);
  expect(plan(config, { format: null, databases: ['postgres'] })).toMatchObject([{ options: { format: 'tar' } }]);
});

test('a database that is not there is named with those that are', () => {
  expect(() => plan(configOf({}), { databases: ['CRM'] })).toThrow(
    expect.objectContaining({
      code: 'database-missing',
      facts: { database: 'CRM', known: ['crm', 'half dropped', 'postgres'] },
    }),
  );
  expect(() => plan(configOf({}), { databases: ['half dropped'] })).toThrow(/takes no connections/);
});

test('one of several that is not there is tried with them, and fails alone', () => {
  expect(plan(configOf({}), { databases: ['CRM', 'crm'] })).toMatchObject([{ database: 'CRM' }, { database: 'crm' }]);
});

test('pg_dumpall is asked for SQL only, and selects nothing', () => {
  const config = configOf({ format: 'directory', tables: ['a'], content: 'schema' });
  expect(plan(config, { kind: 'globals' })).toMatchObject([
    { kind: 'globals', database: null, options: { format: 'plain', tables: [], content: 'all', globals: false } },
  ]);
  expect(plan(config, { kind: 'cluster' })).toMatchObject([{ options: { format: 'plain', content: 'schema' } }]);
  for (const [kind, wrong] of [
    ['globals', { tables: ['a'] }],
    ['globals', { content: 'schema' }],
    ['cluster', { format: 'custom' }],
    ['cluster', { databases: ['crm'] }],
  ] as const)
    expect(() => plan(config, { kind, ...wrong })).toThrow(expect.objectContaining({ code: 'dump-refused' }));
});

test('what cannot be done as asked is refused, and not done otherwise', () => {
  const docker = configOf({}, { docker: 'db' });
  expect(() => plan(docker, { format: 'directory' })).toThrow(/out of the container 'db'/);
  expect(() => plan(configOf({}), { jobs: 4 })).toThrow(/only the format directory/);
  expect(plan(configOf({ jobs: 4 }))).toMatchObject([{ options: { format: 'custom', jobs: 4 } }, {}]);
});
