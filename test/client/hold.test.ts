import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commitBackup } from '../../repository/commit.ts';
import { noKeys } from '../../repository/keys.ts';
import { initRepository, openRepository } from '../../repository/repository.ts';
import { idOf, putEra, putParts, recordOf } from '../repository/support.ts';
import { keptTempDir } from '../support/temp.ts';
import { pgproof } from './cli.ts';

let dir: string;
let configFile: string;
const run = (...args: string[]) => pgproof([...args, '--config', configFile, '--host', 'db-7']);

beforeAll(async () => {
  dir = keptTempDir('hold');
  configFile = join(dir, 'pgproof.yaml');
  const repositories = Object.fromEntries(
    ['local', 'far'].map((name) => [name, { type: 'file', path: join(dir, name) }]),
  );
  const shop = { host: 'db-7', connection: { socket: dir }, repositories: Object.keys(repositories) };
  const hosts = { 'db-7': { state: join(dir, 'state') } };
  writeFileSync(configFile, JSON.stringify({ hosts, repositories, clusters: { shop } }));
  const [local] = await Promise.all(
    Object.entries(repositories).map(([name, { path }]) => initRepository(name, { type: 'file', path })),
  );
  await putEra(local!);
  await putParts(local!, idOf(1));
  await commitBackup(local!, noKeys, recordOf(idOf(1), { stoppedAt: new Date().toISOString() }));
});

afterAll(() => rmSync(dir, { recursive: true }));

test('hold add keeps a backup where it is, list shows it, and remove ends it; wrong use touches nothing', async () => {
  const [unknown, endless, none] = await Promise.all([
    run('hold', 'add', 'shop', '2027', '--reason', 'x'),
    run('hold', 'add', 'shop', '2026', '--reason', 'x', '--for', 'ever'),
    run('hold', 'list', 'shop'),
  ]);
  expect(unknown).toMatchObject({ code: 2, json: { error: { code: 'backup-missing' } } });
  expect(endless).toMatchObject({
    code: 2,
    json: { error: { code: 'usage', message: expect.stringContaining("'ever'") } },
  });
  expect(none.json).toEqual({ cluster: 'shop', holds: [] });

  const added = await run('hold', 'add', 'shop', idOf(1).slice(0, 12), '--reason', 'an audit', '--for', '2w');
  expect(added).toMatchObject({
    code: 0,
    json: { backup: idOf(1), holds: [{ repository: 'local' }], without: ['far'] },
  });
  const { id } = (added.json as { holds: { id: string }[] }).holds[0]!;
  const hold = { id, operation: 'hand', reason: 'an audit', repository: 'local' };
  expect((await run('hold', 'list', 'shop')).json).toMatchObject({ holds: [hold] });
  const second = await run('hold', 'add', 'shop', idOf(1), '--reason', 'another audit');
  const [other] = (second.json as { holds: { id: string }[] }).holds;
  expect(await run('hold', 'remove', 'shop', '20')).toMatchObject({
    code: 2,
    json: { error: { code: 'usage', message: expect.stringContaining("'20' begins 2 holds") } },
  });
  expect((await run('hold', 'remove', 'shop', other!.id)).code).toBe(0);
  expect(await run('hold', 'remove', 'shop', id.slice(0, 12))).toMatchObject({ code: 0, json: { released: [hold] } });
  expect(await run('hold', 'remove', 'shop', id)).toMatchObject({ code: 2, json: { error: { code: 'hold-missing' } } });
});

test('owner show says whose the cluster is in each repository, and take makes it this fleet’s', async () => {
  expect((await run('owner', 'show', 'shop')).json).toMatchObject({
    fleet: 'main',
    repositories: [
      { repository: 'local', owner: null },
      { repository: 'far', owner: null },
    ],
  });
  const taken = await run('owner', 'take', 'shop', '--reason', 'moved');
  const owner = { fleet: 'main', by: 'db-7', reason: 'moved' };
  expect(taken).toMatchObject({
    code: 0,
    json: {
      repositories: [
        { before: null, owner },
        { before: null, owner },
      ],
    },
  });
});

test('a host whose clock is behind the newest backup places no hold: it would end too early', async () => {
  const local = await openRepository('local', { type: 'file', path: join(dir, 'local') });
  await putParts(local, idOf(2));
  const stoppedAt = new Date(Date.now() + 3_600_000).toISOString();
  await commitBackup(local, noKeys, recordOf(idOf(2), { stoppedAt }));
  expect(await run('hold', 'add', 'shop', idOf(1), '--reason', 'an audit')).toMatchObject({
    code: 1,
    json: { error: { code: 'clock-skew', message: expect.stringMatching(/ is 3\d{3} s behind the newest backup/) } },
  });
  expect((await run('hold', 'list', 'shop')).json).toEqual({ cluster: 'shop', holds: [] });
});
