import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dumpSummary, dumpsTable, dumpText } from '../../client/dump-text.ts';
import { noKeys } from '../../repository/keys.ts';
import { dumpKey } from '../../repository/layout.ts';
import { listDumpsIn } from '../../repository/merged.ts';
import { dumpRecord } from '../../repository/record.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { dumpIdOf, putDump } from '../dumps/support.ts';
import { bytesOf } from '../repository/support.ts';
import { keptTempDir } from '../support/temp.ts';
import { pgproof } from './cli.ts';

/* A cluster with dumps only, in two repositories; no server is asked. */

const [sql, spaced, lost] = [dumpIdOf(1), dumpIdOf(2), dumpIdOf(3)] as const;
let dir: string;
let configFile: string;
let repositories: Repository[];
const run = (...args: string[]) => pgproof([...args, '--config', configFile, '--host', 'db-7']);

beforeAll(async () => {
  dir = keptTempDir('list');
  configFile = join(dir, 'pgproof.yaml');
  const configs = Object.fromEntries(['local', 'far'].map((name) => [name, { type: 'file', path: join(dir, name) }]));
  const shop = { host: 'db-7', connection: { socket: dir }, repositories: Object.keys(configs) };
  const hosts = { 'db-7': { state: join(dir, 'state') } };
  writeFileSync(configFile, JSON.stringify({ hosts, repositories: configs, clusters: { shop } }));
  repositories = await Promise.all(
    Object.entries(configs).map(([name, { path }]) => initRepository(name, { type: 'file', path })),
  );
  const [local, far] = repositories as [Repository, Repository];
  const now = new Date().toISOString();
  const globals = bytesOf('CREATE ROLE x;\n') as Buffer;
  await putDump(local, noKeys, sql, bytesOf('--\n') as Buffer, { format: 'plain', stream: 'dump.sql', globals });
  await putDump(local, noKeys, spaced, bytesOf('PGDMP') as Buffer, {
    ...{ database: 'my "shop"\u001b[2J', tier: 'weekly', content: 'schema', finishedAt: now },
    selection: {
      ...{ tables: ['a*'], excludeTables: [], excludeTableData: [] },
      ...{ schemas: [], excludeSchemas: [] },
    },
    ...{ findings: ['It is half as large as the last one.'] },
  });
  await putDump(far, noKeys, sql, bytesOf('--\n') as Buffer, { format: 'plain', stream: 'dump.sql', globals });
  await far.store.create(dumpKey('shop', lost), bytesOf('{}'));
});

afterAll(() => rmSync(dir, { recursive: true }));

test('list tells of dumps with tier, format and where they are whole, and of damaged ones; show tells all of one', async () => {
  const [list, show, ambiguous, none] = await Promise.all([
    run('list', 'shop'),
    run('show', 'shop', spaced.slice(0, 10)),
    run('show', 'shop', '2026'),
    run('show', 'shop', '2027'),
  ]);
  expect(list).toMatchObject({ code: 3, json: { clusters: [{ cluster: 'shop', backups: [] }] } });
  const [{ dumps }] = (list.json as { clusters: [{ dumps: unknown[] }] }).clusters;
  expect(dumps).toMatchObject([
    { id: sql, state: 'whole', repositories: ['local', 'far'], format: 'plain', tier: 'daily', globals: true },
    {
      id: spaced,
      repositories: ['local'],
      database: 'my "shop"\u001b[2J',
      part: 'schema only; only tables a*',
      sizeBytes: 5,
    },
    { id: lost, state: 'damaged', repositories: [], damagedIn: [{ repository: 'far' }] },
  ]);
  expect(show).toMatchObject({ code: 0, json: { id: spaced, tier: 'weekly', repositories: ['local'] } });
  expect(dumpRecord.parse(show.json).id).toBe(spaced);
  expect(ambiguous).toMatchObject({ code: 2, json: { error: { code: 'backup-ambiguous' } } });
  expect(none).toMatchObject({ code: 2, json: { error: { code: 'backup-missing' } } });
});

test('people are told of dumps in a table; a name cannot command their terminal', async () => {
  const { entries } = await listDumpsIn(repositories, noKeys, 'shop');
  const verified = [{ repository: 'far', verify: null }];
  const lines = dumpsTable(entries.map((entry) => dumpSummary(entry, verified))).split('\n');
  expect(lines[0]).toMatch(/^DUMP +OF +TIER +FORMAT +TAKEN +SIZE +STORED +WHERE$/);
  expect(lines[1]).toMatch(/-logical-3fa94d11 +shop +daily +plain +2026-11-21T02:00:00.000Z +3 B +\d+ B +local, far$/);
  expect(lines[2]).toContain(String.raw`"my \"shop\"\u001b[2J"  weekly  custom, schema only, a part`);
  expect(lines[3]).toMatch(/ DAMAGED +DAMAGED in far: .* is not a document of ours/);
  const [, second] = entries;
  const told = second?.state === 'whole' ? dumpText(second.record, []) : '';
  for (const line of [
    'of          "my \\"shop\\"\\u001b[2J", cluster shop',
    'selected    tables: a*',
    'codec       zstd, NOT ENCRYPTED, NOT AUTHENTICATED',
    'LOOK AT     It is half as large as the last one.',
  ])
    expect(told).toContain(line);
});

test('hold add keeps a dump where it is', async () => {
  const added = await run('hold', 'add', 'shop', spaced, '--reason', 'an audit');
  expect(added).toMatchObject({
    code: 0,
    json: { dump: spaced, without: ['far'], holds: [{ repository: 'local', needs: [], dumps: [spaced] }] },
  });
});
