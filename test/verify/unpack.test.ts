import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { VerifyResult } from '../../core/verified.ts';
import { renderReport } from '../../report/render.ts';
import type { RestorePlan } from '../../restore/record.ts';
import { reportedVerify } from '../../verify/verify.ts';
import { pgproof } from '../client/cli.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { until } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { copyOf, everything, look, offsiteOf, openVerifyStage, type VerifyStage } from './support.ts';

const [major] = alternate(1) as [string];
const node = join(import.meta.dirname, '../../node_modules/.bin/node');
let stage: VerifyStage;

beforeAll(async () => {
  stage = await openVerifyStage(major);
});
afterAll(() => stage.dispose());

const asked = { ...everything, repository: null, reason: null, requestedBy: 'nobody' };

test('--restore unpacks the newest backup, lets pg_verifybackup compare every file, and leaves nothing', async () => {
  const found = await look(await copyOf(stage), { restore: true });
  expect(found).toMatchObject({ verdict: 'passed', unpacked: [stage.second.id] });
  expect(readdirSync(stage.cluster.paths.drills)).toEqual([]);
});

test('--restore takes the backup that is named', async () => {
  const found = await look(await copyOf(stage), { restore: true, backup: stage.first.id });
  expect(found).toMatchObject({ verdict: 'passed', unpacked: [stage.first.id] });
});

test('a backup that is not there makes it inconclusive', async () => {
  const found = await look(await copyOf(stage), { restore: true, backup: '2019' });
  expect(found).toMatchObject({
    verdict: 'inconclusive',
    unpacked: [],
    verdictReason: expect.stringContaining("'2019'"),
  });
});

test('a backup that no repository has is refused before anything is read', async () => {
  const { cluster } = await copyOf(stage);
  const refused = reportedVerify(cluster, { ...asked, restore: true, backup: '2019' }, quietRun(), null);
  await expect(refused).rejects.toMatchObject({ code: 'backup-missing', exitCode: 2 });
});

test('what is unpacked comes from this repository alone, although another one has it whole', async () => {
  const offsite = await offsiteOf(stage);
  const copy = await copyOf(stage, [offsite.cluster.repository]);
  const object = copy.keys(new RegExp(`/base/${stage.second.id}/pgdata.1`))[0] as string;
  copy.flip(object);
  // A share that does not read the part: only unpacking comes across it.
  const found = await look(copy, { restore: true, share: 0.001 });
  expect(found).toMatchObject({ verdict: 'failed', unpacked: [], findings: [{ object, kind: 'damaged' }] });
});

test('what a killed run left is removed by the next one, which says so', async () => {
  const { drills } = stage.cluster.paths;
  const child = spawn(node, [join(import.meta.dirname, 'hanging-verify.ts'), stage.configFile], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  await until(() => child.exitCode !== null || readdirSync(drills).length > 0);
  child.kill('SIGKILL');
  await ended;
  const left = readdirSync(drills).map((name) => join(drills, name)) as [string];
  expect(left).toHaveLength(1);
  const { report } = await reportedVerify((await copyOf(stage)).cluster, asked, quietRun(), null);
  const { notes } = report.result as VerifyResult;
  expect(notes).toEqual([`What a killed verify had left in '${left[0]}' was removed.`]);
  expect(readdirSync(drills)).toEqual([]);
});

test('the report tells what is damaged and what cannot be restored because of it', async () => {
  const copy = await copyOf(stage);
  const object = copy.keys(new RegExp(`/base/${stage.first.id}/pgdata.1`))[0] as string;
  copy.flip(object);
  const { report } = await reportedVerify(copy.cluster, asked, quietRun(), null);
  const text = renderReport(report);
  expect(text).toContain('VERIFY FAILED: shop');
  expect(text).toContain(`DAMAGED ${object}`);
  expect(text).toContain(`cannot be restored from here at all: backup ${stage.first.id}`);
  expect(text).toContain(
    `cannot be restored from here: what is behind ${stage.first.stopLsn} (${stage.first.stoppedAt}) and before ${stage.second.stopLsn}`,
  );
});

test('the verb exits with 3 for damage; list and a restore plan that needs it show it until a verify finds it whole', async () => {
  const planned = async (...more: string[]) => {
    const into = join(tempDir(), 'restored');
    const { json } = await pgproof(['restore', 'plan', 'shop', '--to', 'latest', '--into', into, ...more, ...at]);
    return (json as unknown as RestorePlan).notes.filter((note) => note.startsWith('Needed'));
  };
  const at = ['--config', stage.configFile, '--host', 'db-7'];
  const { repository } = stage.cluster;
  const object = (await copyOf(stage)).keys(new RegExp(`/base/${stage.second.id}/pgdata.1`))[0] as string;
  const path = join(repository.location, object);
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(1));
  const damage = [{ repository: 'local', object, kind: 'damaged' }];
  expect(await pgproof(['verify', 'shop', '--repository', 'local', '--offline', ...at])).toMatchObject({ code: 3 });
  expect(await pgproof(['list', 'shop', ...at])).toMatchObject({
    code: 3,
    json: { clusters: [{ backups: [{ damage: [] }, { id: stage.second.id, damage }] }] },
  });
  expect(await planned()).toEqual([expect.stringMatching(`found damaged in repository 'local' by .*: ${object}\\.`)]);
  expect(await planned('--backup', stage.first.id)).toEqual([]);
  writeFileSync(path, bytes);
  expect(await pgproof(['verify', 'shop', '--restore', '--offline', ...at])).toMatchObject({ code: 0 });
  expect(await pgproof(['list', 'shop', ...at])).toMatchObject({
    code: 0,
    json: {
      clusters: [
        { verified: [{ repository: 'local', verify: { verdict: 'passed', percentOfBytes: 100, damage: [] } }] },
      ],
    },
  });
  expect(await planned()).toEqual([]);
});

test('wrong use of the verb is refused before anything is looked at', async () => {
  const at = ['--offline', '--config', stage.configFile, '--host', 'db-7'];
  expect(await pgproof(['verify', 'shop', '--share', '101%', ...at])).toMatchObject({ code: 2 });
  expect(await pgproof(['verify', 'shop', '--repository', 'elsewhere', ...at])).toMatchObject({
    code: 2,
    json: { error: { code: 'repository-unknown' } },
  });
});
