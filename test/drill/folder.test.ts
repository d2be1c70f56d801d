import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type RunId, runId } from '../../core/ids.ts';
import {
  drillFolderAt,
  leaveDrillFolder,
  leftoverDrills,
  makeDrillFolder,
  removeDrillFolder,
} from '../../drill/folder.ts';
import { type Owner, startTicks, thisProcess } from '../../drill/owner.ts';
import type { ClusterPaths } from '../../postgres/cluster.ts';
import { tempDir } from '../support/temp.ts';

const newId = (random: string): RunId => runId(new Date(), 'drill', random);

function host() {
  const drills = tempDir();
  return { paths: { drills } as ClusterPaths };
}

/** A process that was there a moment ago. */
function deadProcess() {
  const { pid } = spawnSync('true');
  return { ...thisProcess(), pid, startTicks: '1' };
}

test('a drill that goes on is not a leftover, neither here nor in another process', async () => {
  const cluster = host();
  await makeDrillFolder(cluster, newId('00000001'));
  const other = newId('00000002');
  leave(cluster, other, parentProcess());
  mkdirSync(drillFolderAt(cluster, other).root);
  expect(await leftoverDrills(cluster)).toEqual([]);
});

test('scenario 34: what a killed drill left is found by its note, also when it died before it made its folder', async () => {
  const cluster = host();
  const [withFolder, noteOnly, folderOnly] = [newId('0000000a'), newId('0000000b'), newId('0000000c')];
  for (const id of [withFolder, noteOnly]) leave(cluster, id, deadProcess());
  for (const id of [withFolder, folderOnly]) mkdirSync(drillFolderAt(cluster, id).dataDir, { recursive: true });
  const left = await leftoverDrills(cluster);
  expect(left.map(({ id }) => id).sort()).toEqual([withFolder, noteOnly, '0000000c'].sort());
  for (const folder of left) await removeDrillFolder(folder);
  expect(readdirSync(cluster.paths.drills)).toEqual([]);
});

test('a process with the same number, but started at another time, does not keep a folder alive', async () => {
  const cluster = host();
  const id = newId('0000000d');
  leave(cluster, id, { ...parentProcess(), startTicks: '1' });
  expect(await leftoverDrills(cluster)).toHaveLength(1);
});

test('a note that is being written is left alone, and a broken one is not for ever', async () => {
  const cluster = host();
  const note = `${drillFolderAt(cluster, newId('0000000e')).root}.json`;
  writeFileSync(note, '{"pid": 12');
  expect(await leftoverDrills(cluster)).toEqual([]);
  await utimes(note, new Date(0), new Date(0));
  expect(await leftoverDrills(cluster)).toHaveLength(1);
});

test('a folder that this process could not remove is a leftover for its next drill', async () => {
  const cluster = host();
  const folder = await makeDrillFolder(cluster, newId('0000000f'));
  leaveDrillFolder(folder);
  expect(await leftoverDrills(cluster)).toMatchObject([{ id: folder.id, root: folder.root }]);
});

test('files of other people in that place are not touched', async () => {
  const cluster = host();
  writeFileSync(join(cluster.paths.drills, 'notes.txt'), 'mine');
  mkdirSync(join(cluster.paths.drills, 'keep'));
  expect(await leftoverDrills(cluster)).toEqual([]);
});

const parentProcess = () => ({ ...thisProcess(), pid: process.ppid, startTicks: startTicks(process.ppid) ?? '' });

/** The note of a drill that another process began. */
function leave(cluster: ReturnType<typeof host>, drillId: RunId, who: Owner): void {
  writeFileSync(`${drillFolderAt(cluster, drillId).root}.json`, JSON.stringify({ ...who, drillId }));
}
