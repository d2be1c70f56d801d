import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Report } from '../../core/report.ts';
import { currentEra, declareEra, declareEraInAll, listEras } from '../../repository/eras.ts';
import { noKeys } from '../../repository/keys.ts';
import { readmeText } from '../../repository/readme.ts';
import { putReport } from '../../repository/reports.ts';
import { initRepository, openRepository } from '../../repository/repository.ts';
import { tempDir } from '../support/temp.ts';
import { both, bytesOf, cluster, eraFacts, newRepository } from './support.ts';

const at = (path: string) => ({ type: 'file' as const, path });

const writer = { ...both(noKeys), name: cluster, fleet: 'main', host: 'db-7' };

test('a repository is made in an absent or empty folder, and made again changes nothing', async () => {
  for (const path of [tempDir(), join(tempDir(), 'not', 'there')]) {
    const { id, location } = await initRepository('local', at(path));
    expect(location).toBe(path);
    const before = readFileSync(join(path, 'pgproof-repository.json'));
    expect((await initRepository('local', at(path))).id).toBe(id);
    expect((await openRepository('local', at(path))).id).toBe(id);
    expect(readFileSync(join(path, 'pgproof-repository.json'))).toEqual(before);
    expect(readFileSync(join(path, 'README.txt'), 'utf8')).toBe(readmeText);
  }
});

test('an init that was killed half way is finished by the next', async () => {
  const path = tempDir();
  await initRepository('local', at(path));
  rmSync(join(path, 'README.txt'));
  await initRepository('local', at(path));
  expect(existsSync(join(path, 'README.txt'))).toBe(true);
});

test('a file system of its own, with lost+found, is empty', async () => {
  const path = tempDir();
  mkdirSync(join(path, 'lost+found'));
  await initRepository('local', at(path));
});

test('a folder that is no repository is refused and stays as it is', async () => {
  const contents: Record<string, string>[] = [
    { 'notes.txt': 'mine' },
    { '.hidden': '' },
    { 'pgproof-repository.json': 'not json' },
  ];
  for (const files of contents) {
    const path = tempDir();
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    for (const attempt of [openRepository, initRepository]) {
      await expect(attempt('local', at(path))).rejects.toMatchObject({
        code: 'repository-foreign',
        facts: { location: path },
      });
    }
    expect(readdirSync(path)).toEqual(Object.keys(files));
  }
});

test('an absent or empty folder is no repository yet, and opening it makes nothing', async () => {
  const folder = tempDir();
  for (const path of [folder, join(folder, 'absent')]) {
    const opening = openRepository('local', at(path));
    await expect(opening).rejects.toMatchObject({ code: 'repository-missing', exitCode: 2 });
  }
  expect(readdirSync(folder)).toEqual([]);
});

test('a repository of a newer format is refused', async () => {
  const path = tempDir();
  await initRepository('local', at(path));
  const file = join(path, 'pgproof-repository.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"formatVersion":1', '"formatVersion":2'));
  await expect(openRepository('local', at(path))).rejects.toMatchObject({ code: 'repository-format' });
});

test('an era is declared once for a data directory, and numbered', async () => {
  const repository = await newRepository();
  expect(await currentEra(repository, cluster)).toBeUndefined();
  const first = await declareEra(repository, both(noKeys), cluster, eraFacts);
  expect(first.era).toBe('0001-pg15-7400000000000000001');
  await expect(declareEra(repository, both(noKeys), cluster, eraFacts)).rejects.toMatchObject({ code: 'era-exists' });
  const upgraded = { ...eraFacts, systemId: '7400000000000000002', major: 18 };
  await expect(declareEra(repository, both(noKeys), cluster, { ...upgraded, inRecovery: true })).rejects.toMatchObject({
    code: 'server-in-recovery',
  });
  const second = await declareEra(repository, both(noKeys), cluster, upgraded);
  expect(second.era).toBe('0002-pg18-7400000000000000002');
  expect((await listEras(repository, cluster)).map(({ era }) => era)).toEqual([first.era, second.era]);
  expect(await currentEra(repository, cluster)).toEqual(second);
});

test('an era is declared in several repositories by one document, and brought to one that lacks it', async () => {
  const [near, far, late] = [await newRepository(), await newRepository(), await newRepository()];
  const { era } = await declareEraInAll([near, far], writer, eraFacts);
  expect(await listEras(far, cluster)).toEqual(await listEras(near, cluster));
  await expect(declareEraInAll([near, far], writer, eraFacts)).rejects.toMatchObject({
    code: 'era-exists',
  });
  expect(await declareEraInAll([near, far, late], writer, eraFacts)).toMatchObject({ era });
  const upgraded = { ...eraFacts, systemId: '7400000000000000002', major: 18 };
  await declareEra(near, both(noKeys), cluster, upgraded); // an attempt that was killed in between
  await declareEraInAll([near, far, late], writer, upgraded);
  for (const one of [far, late]) expect(await listEras(one, cluster)).toEqual(await listEras(near, cluster));
});

test('clusters whose names look alike do not mix', async () => {
  const repository = await newRepository();
  await declareEra(repository, both(noKeys), 'shop-2', eraFacts);
  expect(await listEras(repository, 'shop')).toEqual([]);
});

test('an era record that was changed is an error, not another era', async () => {
  const repository = await newRepository();
  const { era } = await declareEra(repository, both(noKeys), cluster, eraFacts);
  const file = join(repository.location, cluster, 'eras', `${era}.json`);
  writeFileSync(file, readFileSync(file, 'utf8').replace('0001-pg15', '0009-pg15'));
  await expect(listEras(repository, cluster)).rejects.toMatchObject({ code: 'record-invalid' });
  writeFileSync(file, bytesOf('{}'));
  await expect(listEras(repository, cluster)).rejects.toMatchObject({ code: 'record-invalid' });
});

test('reports are filed by month; filing one again changes nothing', async () => {
  const repository = await newRepository();
  const id = '20261120T140501Z-backup-3fa94c1e';
  await putReport(repository, reportOf(id));
  await putReport(repository, reportOf(id));
  expect(existsSync(join(repository.location, `shop/reports/2026/11/${id}.json`))).toBe(true);
});

const reportOf = (id: string): Report => ({
  formatVersion: 1,
  id,
  uuid: '8c0bfa4a-8d1c-5d0e-9d5c-0f5d1f0a4b11',
  operation: 'backup',
  cluster,
  host: 'db-7',
  port: null,
  database: null,
  startedAt: '2026-11-20T14:05:01.000Z',
  finishedAt: '2026-11-20T14:05:09.000Z',
  durationSeconds: 8,
  mode: 'local',
  tool: 'pgproof',
  status: 'SUCCESS',
  errorMessage: null,
  local: { file: null, globalsFile: null, checksumSha256: null, sizeBytes: null },
  remote: { urls: [] },
  workflowId: null,
  runId: null,
  requestedBy: null,
  reason: null,
  result: {},
});
