import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { backupKey } from '../../repository/layout.ts';
import { listWal } from '../../repository/wal.ts';
import { faulty } from '../../storage/fault.ts';
import { cluster, era } from '../repository/support.ts';
import { quietRun } from '../support/run.ts';
import {
  backups,
  contentOf,
  copy,
  flip,
  keyOf,
  listed,
  newPlace,
  openTwo,
  segment,
  type Two,
  through,
} from './support.ts';

let two: Two;
beforeEach(async () => {
  two = await openTwo();
});

describe('what is damaged in the source', () => {
  test('a WAL object that does not fit its tag is named and not copied, and the backup that needs it does not exist in the copy', async () => {
    const key = await keyOf(two.from, new RegExp(`/wal/.*${segment(3)}`));
    flip(join(two.from.location, key));
    const result = await copy(two);
    expect(result).toMatchObject({ outcome: 'incomplete', backups: [backups[1]], lag: { segments: 1, backups: 1 } });
    expect(result.refused).toMatchObject([
      { key, code: 'object-damaged', permanent: true },
      { key: backupKey(cluster, era, backups[0]), code: 'segment-not-archived' },
    ]);
    expect((await listWal(two.to, cluster, era)).has(segment(3))).toBe(false);
    expect(await listed(two.to, two.keys)).toEqual([backups[1]]);
  });

  test('a part that is not what the signed record says never exists in the copy, nor does its backup', async () => {
    const key = await keyOf(two.from, new RegExp(`${backups[1]}/pgdata.2`));
    flip(join(two.from.location, key));
    const result = await copy(two);
    expect(result).toMatchObject({ outcome: 'incomplete', backups: [backups[0]] });
    expect(result.refused.map(({ code }) => code)).toEqual(['object-damaged', 'backup-unverified']);
    expect(Object.keys(await contentOf(two.to))).not.toContain(key);
    expect(await listed(two.to, two.keys)).toEqual([backups[0]]);
  });

  test('a part that is cut off, or missing, holds up nothing else', async () => {
    const cut = await keyOf(two.from, new RegExp(`${backups[0]}/pgdata.1`));
    truncateSync(join(two.from.location, cut), 1000);
    const lost = await keyOf(two.from, new RegExp(`${backups[1]}/pgdata.1`));
    await two.from.store.remove(lost);
    const result = await copy(two);
    expect(result.refused.map(({ key, code }) => [key, code])).toEqual([
      [lost, 'object-missing'],
      [backupKey(cluster, era, backups[1]), 'backup-unverified'],
      [cut, 'object-damaged'],
      [backupKey(cluster, era, backups[0]), 'backup-unverified'],
    ]);
    expect(await listed(two.to, two.keys)).toEqual([]);
    expect(result.copied.objects).toBe(1 + 1 + 8 + 4);
  });

  test('a record whose signature does not fit is not copied', async () => {
    const path = join(two.from.location, backupKey(cluster, era, backups[0]));
    writeFileSync(path, readFileSync(path, 'utf8').replace('"timeline":1', '"timeline":2'));
    const result = await copy(two);
    expect(result.refused).toMatchObject([{ key: backupKey(cluster, era, backups[0]), code: 'signature-invalid' }]);
    expect(await listed(two.to, two.keys)).toEqual([backups[1]]);
  });

  test('a history file that does not fit its tag is not copied', async () => {
    const key = await keyOf(two.from, /\/timelines\//);
    flip(join(two.from.location, key), 2);
    expect((await copy(two)).refused).toMatchObject([{ key, code: 'object-damaged' }]);
    expect(Object.keys(await contentOf(two.to))).not.toContain(key);
  });

  test('a read that flips a bit is an error of that read only: the next copy brings the object', async () => {
    const flipping = faulty(two.from.store, [
      { on: 'read', key: /pgdata\.1/, fault: { kind: 'flip', at: 77 }, times: 1 },
    ]);
    const from = through(two.from, flipping);
    expect(await copy({ ...two, from })).toMatchObject({ outcome: 'incomplete' });
    expect(await copy({ ...two, from })).toMatchObject({ outcome: 'complete', lag: { backups: 0 } });
    expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
  });

  test('an object that cannot be read holds up no other; a source that answers nothing ends the copy', async () => {
    const one = faulty(two.from.store, [{ on: 'read', key: new RegExp(segment(8)), fault: { kind: 'fail' } }]);
    const partly = await copy({ ...two, from: through(two.from, one) });
    expect(partly).toMatchObject({ outcome: 'incomplete', backups: backups.toReversed(), lag: { segments: 1 } });
    expect(partly.refused).toMatchObject([{ code: 'store-unreachable', permanent: false }]);

    const to = await newPlace('farther');
    const dead = faulty(two.from.store, [{ on: 'read', key: /\/(wal|base)\//, fault: { kind: 'fail' } }]);
    expect(await copy({ ...two, from: through(two.from, dead), to })).toMatchObject({
      outcome: 'failed',
      error: { code: 'store-unreachable' },
    });
    expect(await listed(to, two.keys)).toEqual([]);
  });
});

describe('a target that lies', () => {
  test('cuts a part and says that it took it all: the backup does not exist there, and the next copy replaces the part', async () => {
    const store = faulty(two.to.store, [
      { on: 'create', key: /c12\/pgdata\.1/, fault: { kind: 'truncate', bytes: 1000 }, times: 1 },
    ]);
    const first = await copy({ ...two, to: through(two.to, store) });
    expect(first).toMatchObject({ outcome: 'incomplete', backups: [backups[0]] });
    expect(first.refused.map(({ code }) => code)).toEqual(['object-damaged', 'backup-unverified']);
    expect(await listed(two.to, two.keys)).toEqual([backups[0]]);

    const second = await copy(two);
    expect(second).toMatchObject({ outcome: 'complete', backups: [backups[1]] });
    expect(second.notes[0]).toMatch(/was damaged in far and was sent again/);
    expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
  });

  test('cuts or forgets a segment: the backup that needs it does not exist there, and the next copy sends it again', async () => {
    const store = faulty(two.to.store, [
      { on: 'create', key: new RegExp(segment(3)), fault: { kind: 'truncate', bytes: 1000 }, times: 1 },
      { on: 'create', key: new RegExp(segment(6)), fault: { kind: 'forget' }, times: 1 },
    ]);
    const first = await copy({ ...two, to: through(two.to, store) });
    expect(first.refused.map(({ key, code }) => [key.match(/[0-9A-F]{24}|full-\w+/)?.[0], code])).toEqual([
      [segment(6), 'object-damaged'],
      ['full-3fa94c12', 'segment-not-archived'],
      [segment(3), 'object-damaged'],
      ['full-3fa94c11', 'segment-not-archived'],
    ]);
    expect(await listed(two.to, two.keys)).toEqual([]);
    expect(first.lag).toMatchObject({ segments: 2, backups: 2 });

    expect(await copy(two)).toMatchObject({ outcome: 'complete', backups: backups.toReversed() });
    expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
  });

  test('loses a part of a backup that exists: the next copy brings it back', async () => {
    await copy(two);
    const key = await keyOf(two.to, /c11\/pgdata\.2/);
    await two.to.store.remove(key);
    expect(await copy(two)).toMatchObject({ outcome: 'complete', copied: { objects: 1 }, backups: [] });
    expect(await contentOf(two.to)).toEqual(await contentOf(two.from));
  });

  test('a damaged object there gives way only to one that is whole', async () => {
    await copy(two);
    const key = await keyOf(two.to, /c11\/pgdata\.2/);
    truncateSync(join(two.to.location, key), 1000);
    flip(join(two.from.location, key));
    expect((await copy(two)).refused).toMatchObject([{ key, code: 'object-damaged' }, { code: 'backup-unverified' }]);
    expect(readFileSync(join(two.to.location, key))).toHaveLength(1000);
  });

  test('that takes nothing ends the copy with its error, and the next goes on', async () => {
    const store = faulty(two.to.store, [{ on: 'create', key: /\/wal\//, fault: { kind: 'fail' } }]);
    const failed = await copy({ ...two, to: through(two.to, store) });
    expect(failed).toMatchObject({ outcome: 'failed', lag: null, error: { code: 'store-unreachable' } });
    expect(await copy(two)).toMatchObject({ outcome: 'complete' });
  });

  test('that hangs is given up, and one that is stopped stops', async () => {
    const store = faulty(two.to.store, [{ on: 'create', key: /pgdata/, fault: { kind: 'hang' } }]);
    const hanging = { ...two, to: through(two.to, store) };
    expect(await copy(hanging, { stallSeconds: 1 })).toMatchObject({ outcome: 'failed', error: { code: 'timeout' } });

    const stop = new AbortController();
    const run = { ...quietRun(stop.signal), progress: () => stop.abort() };
    await expect(copy(hanging, {}, run)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await listed(two.to, two.keys)).toEqual([]);
  });
});
