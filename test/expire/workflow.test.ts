import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { takeBackup } from '../../backup/backup.ts';
import type { PgproofError } from '../../core/errors.ts';
import { parseTarget } from '../../core/target.ts';
import { loadConfig } from '../../host/config.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { currentEra } from '../../repository/eras.ts';
import { placeHold } from '../../repository/holds.ts';
import { planRestore } from '../../restore/plan.ts';
import { pgproof } from '../client/cli.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';
import { alternate } from '../support/postgres.ts';
import { listReports } from '../support/reports.ts';
import { quietRun } from '../support/run.ts';
import { type Stage, startWorker, type WorkerProcess } from '../support/stage.ts';

vi.setConfig({ testTimeout: 240_000 });

let fleet: Fleet;
let worker: WorkerProcess;

beforeAll(async () => {
  fleet = await openFleet({ major: alternate(1)[0] as string, controlConfig: keepingTheLast });
  worker = await startWorker(fleet.stage);
});
afterAll(async () => {
  await worker?.stop();
  await fleet?.dispose();
});

function keepingTheLast({ configFile }: Stage) {
  const config = parse(readFileSync(configFile, 'utf8'));
  config.clusters.shop.retention = { last: 1 };
  writeFileSync(configFile, stringify(config));
  return loadConfig(configFile);
}

/** As a person does by `hold add`. */
async function keep(backup: string): Promise<void> {
  const { repository, name } = fleet.stage.cluster;
  const { era } = (await currentEra(repository, name)) as { era: string };
  const order = { cluster: name, operation: 'hand', by: 'db-7', reason: 'audit', seconds: 86_400 } as const;
  await placeHold(repository, { ...order, needs: [{ era, backups: [backup], wal: [] }] });
}

const plan = (to: string) =>
  planRestore(fleet.stage.cluster, { target: parseTarget(to), into: join(fleet.stage.folder, 'restored') }, quietRun());

test('expire as a person starts it: looked at, refused because it is more than half, confirmed, done', async () => {
  const { repository, keys, name } = fleet.stage.cluster;
  const ids = async () => (await listBackups(repository, keys, name)).map(({ id }) => id);
  for (let count = 0; count < 5; count += 1) await takeBackup(fleet.stage.cluster, quietRun());
  const all = await ids();
  await keep(all[0] as string);
  const [, , third] = await listBackups(repository, keys, name);
  const expired = third?.state === 'whole' ? third.record.stopLsn : '';

  const { configFile } = fleet.stage;
  const dry = await pgproof(['expire', 'shop', '--dry-run', '--config', configFile, '--host', 'db-7']);
  expect(dry).toMatchObject({
    code: 3,
    json: { dryRun: true, repositories: [{ outcome: 'planned', deletedBackups: 3, keptBackups: 2 }] },
  });

  const refused = fleet.finish(await fleet.start('expire', { reason: 'the disk is full' }));
  const error = (await refused.catch((thrown: unknown) => thrown)) as PgproofError;
  expect(error).toMatchObject({ code: 'expire-refused' });
  expect(error.hint).toContain('pgproof expire shop --repository local --yes');
  expect(await ids()).toEqual(all);
  const said = (await listReports(repository, name)).find(({ id }) => `${error.facts.report}`.includes(id));
  expect(said).toMatchObject({ operation: 'expire', status: 'FAILED', reason: 'the disk is full' });
  expect(said?.result).toMatchObject({ repositories: [{ outcome: 'refused' }] });

  const { report } = await fleet.finish(await fleet.start('expire', { confirmed: true, requestedBy: 'ada' }));
  expect(report).toMatchObject({
    status: 'SUCCESS',
    requestedBy: 'ada',
    result: { confirmed: true, repositories: [{ outcome: 'done', deletedBackups: 3 }] },
  });
  expect(await ids()).toEqual([all[0], all[4]]);
  expect((await plan(`backup:${all[0]}`)).backupId).toBe(all[0]);
  expect((await plan('latest')).backupId).toBe(all[4]);
  // WAL between the two is gone: the plan says so, and names what works.
  const between = await plan(`lsn:${expired}`).catch((thrown: unknown) => thrown);
  expect(between).toMatchObject({ code: 'target-unreachable' });
  expect((between as PgproofError).hint).toContain('The nearest targets that work');

  const verified = await fleet.finish(await fleet.start('verify'));
  expect(verified.report.result).toMatchObject({ verdict: 'passed' });
  const unknown = await pgproof([
    'expire',
    'shop',
    '--repository',
    'elsewhere',
    '--dry-run',
    '--config',
    configFile,
    '--host',
    'db-7',
  ]);
  expect(unknown).toMatchObject({ code: 2, json: { error: { code: 'repository-unknown' } } });
});
