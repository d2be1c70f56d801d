import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { pgproof } from './cli.ts';

let stage: Stage;
let configFile: string;

/** The stage's config with a second repository, which is written to and not required. */
beforeAll(async () => {
  stage = await openStage({ major: alternate(0)[0] as string });
  configFile = join(stage.folder, 'two.yaml');
  const config = parse(readFileSync(stage.configFile, 'utf8'));
  config.repositories.far = { type: 'file', path: join(stage.folder, 'far') };
  Object.assign(config.clusters.shop, { repositories: ['local', 'far'], write: 'all', required: ['local'] });
  writeFileSync(configFile, stringify(config));
});
afterAll(() => stage?.dispose());

const here = (...args: string[]) => pgproof([...args, '--config', configFile, '--host', 'db-7']);
const text = async (...args: string[]): Promise<string> => {
  const node = join(import.meta.dirname, '../../node_modules/.bin/node');
  const main = join(import.meta.dirname, '../../client/main.ts');
  const said = await execa(node, [main, ...args, '--config', configFile, '--host', 'db-7'], { reject: false });
  return said.stdout;
};

test('a person adds a repository, backs up to both, loses one, and restores from the other', async () => {
  const { server } = stage;
  const init = ['init', 'shop', '--socket', server.socketDir, '--port', String(server.port), '--user', server.user];
  expect((await here(...init)).code).toBe(0);
  await server.sql('CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
  const backup = await here('backup', 'shop', '--offline');
  expect(backup).toMatchObject({ code: 0, json: { result: { repositories: ['local', 'far'], dropped: [] } } });
  const { id } = (backup.json as { result: { id: string } }).result;
  expect(await text('list')).toMatch(/shop in repositories local, far\n.*COPIES\n.* local, far\n/);
  expect((await here('wal', 'status', 'shop')).json).toMatchObject({
    repositories: [
      { name: 'local', required: true, missing: [] },
      { name: 'far', required: false, missing: [] },
    ],
  });

  // The one that is not required goes: everything goes on, and says so.
  const far = join(stage.folder, 'far');
  renameSync(far, `${far}.away`);
  const without = await here('backup', 'shop', '--offline');
  expect(without).toMatchObject({
    code: 0,
    json: { result: { repositories: ['local'], dropped: [{ repository: 'far', code: 'repository-missing' }] } },
  });
  expect(await text('wal', 'status', 'shop')).toMatch(
    /in local +required, archived to .*\n +in far +not required, cannot/,
  );
  expect((await here('check', 'shop')).json).toMatchObject({
    findings: expect.arrayContaining([expect.objectContaining({ name: 'far/open', status: 'problem' })]),
  });
  renameSync(`${far}.away`, far);

  // The other one goes for good.
  rmSync(join(stage.folder, 'repository'), { recursive: true });
  expect((await here('backup', 'shop', '--offline')).json).toMatchObject({
    error: { code: 'repository-missing', facts: { repository: 'local' } },
  });
  const list = await here('list', 'shop');
  expect(list.json).toMatchObject({
    clusters: [{ repositories: [{ error: { code: 'repository-missing' } }, { error: null }], backups: [{ id }] }],
  });
  const plan = await here('restore', 'plan', 'shop', '--to', 'latest', '--into', join(tempDir(), 'data'));
  const started = await here('restore', 'start', 'shop', (plan.json as { id: string }).id, '--offline');
  expect(started).toMatchObject({ code: 0, json: { status: 'SUCCESS', result: { backupId: id } } });
});
