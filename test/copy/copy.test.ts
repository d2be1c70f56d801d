import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Lsn } from '../../core/lsn.ts';
import { clusterPaths } from '../../host/cluster.ts';
import { listEras } from '../../repository/eras.ts';
import { generateKeyFile, openKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { writeRecipientFile } from '../../repository/key-rotate.ts';
import { noKeys } from '../../repository/keys.ts';
import { backupKey } from '../../repository/layout.ts';
import { listWrappers, wrapKeySets } from '../../repository/wrappers.ts';
import { addHeartbeat } from '../../wal/heartbeat-notes.ts';
import { bytesOf, cluster, era, newKeys, putEra } from '../repository/support.ts';
import { tempDir } from '../support/temp.ts';
import {
  archive,
  backups,
  contentOf,
  copy,
  flip,
  interleaved,
  keyOf,
  listed,
  newPlace,
  openTwo,
  putBackup,
  recording,
  segment,
  segmentBytes,
  type Two,
  through,
} from './support.ts';

let two: Two;
beforeEach(async () => {
  two = await openTwo();
});

describe('a copy', () => {
  test('holds the same objects, byte for byte, and is not behind', async () => {
    const report = { formatVersion: 1, id: 'r', uuid: '5d3c3c0e-6a0e-4b39-9a3e-0f6d4c0c3f5a' };
    await two.from.store.create(`${cluster}/reports/2026/11/r.json`, bytesOf(JSON.stringify(report)));
    const result = await copy(two);
    expect(result).toMatchObject({ to: 'far', outcome: 'complete', error: null, refused: [], notes: [] });
    expect(result.backups).toEqual(backups.toReversed());
    expect(result.copied.objects).toBe(1 + 1 + 8 + 6 + 2 + 1);
    expect(result.lag).toEqual({
      ...{ seconds: 0, reason: null, segments: 0, bytes: 0, backups: 0, dumps: 0 },
      from: { timeline: 2, lsn: expect.any(String) },
      to: { timeline: 2, lsn: expect.any(String) },
    });
    expect(result.lag?.to).toEqual(result.lag?.from);
    expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
    expect(await listed(two.to, two.keys)).toEqual(backups);
  });

  test('sends nothing when everything is there', async () => {
    const first = await copy(two);
    const second = await copy(two);
    expect(second).toMatchObject({ outcome: 'complete', copied: { objects: 0, bytes: 0 }, backups: [] });
    expect(second.skipped.objects).toBe(first.copied.objects - 2); // the commit files are told by their listing
  });

  test('brings what came since, and nothing else', async () => {
    await copy(two);
    await archive(two.from, two.keys, 9);
    const result = await copy(two);
    expect(result.copied.objects).toBe(1);
    expect(result.lag).toMatchObject({ segments: 0, backups: 0 });
  });

  test('writes the commit file of a backup behind all its parts and all its WAL', async () => {
    const order: string[] = [];
    const to = through(two.to, recording(two.to.store, order));
    await copy({ ...two, to });
    for (const [id, first] of [
      [backups[0], 2],
      [backups[1], 5],
    ] as const) {
      const commit = order.indexOf(backupKey(cluster, era, id));
      const parts = order.flatMap((key, index) => (key.includes(`/base/${id}/`) ? [index] : []));
      const wal = [first, first + 1].map((number) => order.findIndex((key) => key.includes(segment(number))));
      expect(parts).toHaveLength(3);
      expect(Math.min(...wal)).toBeGreaterThan(0);
      expect(Math.max(...parts, ...wal)).toBeLessThan(commit);
    }
  });

  test('protects from its first minutes on: the newest backup and the WAL behind its start go before what is older', async () => {
    const order: string[] = [];
    await copy({ ...two, to: through(two.to, recording(two.to.store, order)) });
    const commit = order.indexOf(backupKey(cluster, era, backups[1]));
    const before = order.slice(0, commit).join();
    for (const number of [5, 6, 7, 8]) expect(before).toContain(segment(number));
    for (const number of [1, 2, 3, 4]) expect(before).not.toContain(segment(number));
    expect(before).not.toContain(`/base/${backups[0]}/`);
  });

  test('brings the wrapped keys of this cluster, and of no other', async () => {
    const keyFile = join(tempDir('keys'), 'main.key');
    await generateKeyFile(keyFile);
    const { keys, document } = await openKeyFile(keyFile);
    const own = { ...two, keys, from: await newPlace('wrapped') };
    await putEra(own.from, { segmentBytes, keyId: keys.current?.id ?? null });
    const sets = document.keySets as Parameters<typeof wrapKeySets>[1];
    const { key } = await wrapKeySets(own.from, sets, { kind: 'passphrase', passphrase: 'correct horse' });
    await own.from.store.create(key.replace(/\d{8}T/, '20200101T'), bytesOf('{}'));
    expect(await copy(own)).toMatchObject({ outcome: 'complete', copied: { objects: 2 } });
    expect((await listWrappers(two.to)).map((wrapper) => wrapper.key)).toEqual([key]);
    expect(await copy(own)).toMatchObject({ copied: { objects: 0 } });
  });

  test('an increment goes behind its parent, and not without it', async () => {
    const child = '20261120T160501Z-incremental-3fa94c13';
    await putBackup(two.from, two.keys, child, 6, backups[1]);
    expect(await copy(two)).toMatchObject({ backups: [backups[1], child, backups[0]] });

    const to = await newPlace('farther');
    flip(join(two.from.location, await keyOf(two.from, /c12\/pgdata\.1/)));
    const result = await copy({ ...two, to });
    expect(result).toMatchObject({ outcome: 'incomplete', backups: [backups[0]] });
    expect(result.refused.at(-1)).toMatchObject({
      code: 'backup-unverified',
      message: expect.stringContaining('parent'),
    });
  });

  test('says how far it is behind: what the source got while the copy ran', async () => {
    const late = interleaved(two.to.store, /\/backups\//, async () => {
      await archive(two.from, two.keys, 9);
      await putBackup(two.from, two.keys, '20261120T160501Z-full-3fa94c13', 6);
    });
    const result = await copy({ ...two, to: through(two.to, late) });
    // WAL that came while a backup was copied is brought before the end; a backup that was committed then is for the next copy.
    expect(result).toMatchObject({ outcome: 'complete', lag: { segments: 0, backups: 1 } });
    expect(await copy(two)).toMatchObject({
      lag: { seconds: 0, backups: 0 },
      backups: ['20261120T160501Z-full-3fa94c13'],
    });
  });

  test('says by how many seconds it is behind, by the heartbeats that the two hold', async () => {
    const state = tempDir('state');
    const notes = clusterPaths(state, cluster).state;
    mkdirSync(notes, { recursive: true });
    for (const [sequence, at, lsn] of [
      [1, '2026-11-20T14:00:00.000Z', '0/680000'],
      [2, '2026-11-20T14:00:12.500Z', '0/780000'],
      [3, '2026-11-20T14:00:25.000Z', '0/880000'], // behind the end of both
    ] as const)
      await addHeartbeat(notes, { sequence, at, lsn: lsn as Lsn, timeline: 1 });
    const key = await keyOf(two.from, new RegExp(segment(7)));
    flip(join(two.from.location, key));
    expect((await copy(two, { state })).lag).toMatchObject({
      ...{ seconds: 12.5, reason: null, segments: 1 },
      ...{ from: { lsn: '0/800000' }, to: { lsn: '0/700000' } },
    });
    expect((await copy(two)).lag).toMatchObject({ seconds: null, reason: expect.stringContaining('no heartbeat') });
  });

  test('sends new WAL between the parts of a long backup', async () => {
    const order: string[] = [];
    const store = interleaved(recording(two.to.store, order), /pgdata\.1/, () => archive(two.from, two.keys, 9));
    await copy({ ...two, to: through(two.to, store) }, { walEverySeconds: 0, parallel: 1 });
    const ninth = order.findIndex((key) => key.includes(segment(9)));
    expect(order.slice(ninth).some((key) => key.includes('/base/'))).toBe(true);
  });

  test('on a host that can only write takes WAL as it is stored, and says so', async () => {
    const keyFile = join(tempDir('keys'), 'main.key');
    await generateKeyFile(keyFile, 'chacha20-poly1305');
    const keys = await readKeyFile(keyFile);
    const from = await newPlace('sealed');
    await putEra(from, { segmentBytes, keyId: keys.current?.id ?? null });
    for (const number of [1, 2, 3]) await archive(from, keys, number);
    await putBackup(from, keys, backups[0], 1);
    await writeRecipientFile(keyFile, `${keyFile}.write`);
    const result = await copy({ ...two, from, keys: await readKeyFile(`${keyFile}.write`) });
    expect(result).toMatchObject({ outcome: 'complete', backups: [backups[0]], lag: { segments: 0 } });
    expect(result.notes).toEqual(['3 WAL segments were copied as stored: the key at hand does not open them.']);
    expect(await contentOf(two.to)).toEqual(await contentOf(from));
    expect(await listed(two.to, keys)).toEqual([backups[0]]);
  });

  test('of a cluster without a key is compared as strictly', async () => {
    const plain = { keys: noKeys, from: await newPlace('plain'), to: await newPlace('plain-far') };
    await putEra(plain.from);
    await archive(plain.from, noKeys, 1);
    await archive(plain.from, noKeys, 2);
    const key = await keyOf(plain.from, new RegExp(segment(2)));
    flip(join(plain.from.location, key));
    const result = await copy(plain);
    expect(result.refused).toMatchObject([{ key, code: 'object-damaged' }]);
    expect(result.copied.objects).toBe(2);
  });
});

describe('two copies at once', () => {
  test('are harmless: the target is the same as after one', async () => {
    const results = await Promise.all([copy(two), copy(two), copy(two)]);
    for (const result of results)
      expect(result).toMatchObject({ outcome: 'complete', lag: { backups: 0, segments: 0 } });
    expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
    expect(await listed(two.to, two.keys)).toEqual(backups);
  });
});

describe('a repository that is no copy of this cluster', () => {
  test('is refused when it holds another cluster of the same name, before anything is written', async () => {
    await putEra(two.to, { era: '0001-pg15-7499999999999999999', systemId: '7499999999999999999' });
    const before = await contentOf(two.to);
    expect(await copy(two)).toMatchObject({ outcome: 'failed', error: { code: 'era-mismatch' } });
    expect(await contentOf(two.to)).toEqual(before);
  });

  test('is refused when its era has another key', async () => {
    await putEra(two.to, { segmentBytes, keyId: (await newKeys()).current?.id ?? null });
    expect(await copy(two)).toMatchObject({ outcome: 'failed', error: { code: 'era-mismatch' } });
  });

  test('is refused when it is the source under another name', async () => {
    const to = { ...two.from, name: 'alias' };
    expect(await copy({ ...two, to })).toMatchObject({ outcome: 'failed', error: { code: 'config-invalid' } });
  });

  test('an era that both declared for themselves is the same era, whatever time they wrote down', async () => {
    await putEra(two.to, {
      segmentBytes,
      keyId: two.keys.current?.id ?? null,
      declaredAt: '2026-11-20T10:00:07.123Z',
      startLsn: '0/1000100',
    });
    expect(await copy(two)).toMatchObject({ outcome: 'complete' });
    expect(await listEras(two.to, cluster)).toMatchObject([{ declaredAt: '2026-11-20T10:00:07.123Z' }]);
  });
});
