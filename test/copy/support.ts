import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CopyOptions, copyRepository } from '../../copy/copy.ts';
import type { CopyTarget } from '../../core/report.ts';
import type { Run } from '../../core/run.ts';
import { type SegmentName, segmentName } from '../../core/segment.ts';
import { clusterPaths } from '../../host/cluster.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { commitBackup } from '../../repository/commit.ts';
import type { KeyRing } from '../../repository/keys.ts';
import { basePrefix } from '../../repository/layout.ts';
import type { BackupRecord, StoredPart } from '../../repository/record.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { putHistory, putSegment } from '../../repository/wal.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { noise } from '../codec/support.ts';
import { both, bytesOf, cluster, era, newKeys, putEra, recordOf } from '../repository/support.ts';
import { quietRun } from '../support/run.ts';
import { storeWith } from '../support/store-with.ts';
import { tempDir } from '../support/temp.ts';

/** Small segments: WAL of one megabyte each, as `initdb --wal-segsize=1` makes them. */
export const segmentBytes = 1 << 20;

export const segment = (number: number): SegmentName => segmentName(1, BigInt(number), segmentBytes);

/** Two repositories of one cluster. The first holds an era, timeline 2, eight segments and two backups; the other is empty. */
export type Two = { keys: KeyRing; from: Repository; to: Repository };

export const backups = ['20261120T140501Z-full-3fa94c11', '20261120T150501Z-full-3fa94c12'] as const;

export async function openTwo(): Promise<Two> {
  const keys = await newKeys();
  const from = await newPlace('near');
  await putEra(from, { segmentBytes, keyId: keys.current?.id ?? null });
  const history = bytesOf('1\t0/800000\tno recovery target specified\n');
  await putHistory(from, keys, cluster, era, 2, history);
  for (let number = 1; number <= 8; number += 1) await archive(from, keys, number);
  await putBackup(from, keys, backups[0], 2);
  await putBackup(from, keys, backups[1], 5);
  return { keys, from, to: await newPlace('far') };
}

export const newPlace = (name: string): Promise<Repository> =>
  initRepository(name, { type: 'file', path: join(tempDir(name), 'r') });

export async function archive(repository: Repository, keys: KeyRing, number: number): Promise<void> {
  await putSegment(repository, keys, cluster, era, segment(number), noise(100_000, number));
}

/** A backup whose WAL is the segment of this number and the next. */
export async function putBackup(
  repository: Repository,
  keys: KeyRing,
  id: string,
  number: number,
  parent: string | null = null,
): Promise<BackupRecord> {
  const part = async (name: string, bytes: number): Promise<StoredPart> => {
    const key = `${basePrefix(cluster, era, id)}${name}`;
    const content = noise(bytes, number);
    await repository.store.create(key, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { key, storedBytes: bytes, plainBytes: bytes, sha256 };
  };
  const parts = [await part('pgdata.1.tar.zst.enc', 300_000), await part('pgdata.2.tar.zst.enc', 200_000)];
  const record = recordOf(id, {
    type: parent === null ? 'full' : 'incremental',
    parent,
    segmentBytes,
    startLsn: `0/${(number * segmentBytes + 40).toString(16).toUpperCase()}`,
    stopLsn: `0/${((number + 1) * segmentBytes + 312).toString(16).toUpperCase()}`,
    tablespaces: [{ name: 'pgdata', path: null, parts }],
    manifest: await part('backup_manifest.zst.enc', 1000),
    keyId: keys.current?.id ?? null,
  });
  return commitBackup(repository, keys, record);
}

/** @param options.state this host's state folder; its heartbeats give the times. */
export function copy(
  { keys, from, to }: Two,
  { state = tempDir('state'), ...options }: CopyOptions & { state?: string } = {},
  run: Run = quietRun(),
): Promise<CopyTarget> {
  const paths = clusterPaths(state, cluster);
  return copyRepository({ from, to, cluster, fleet: 'main', host: 'db-7', ...both(keys), paths }, run, options);
}

export const through = (repository: Repository, store: ObjectStore): Repository => ({ ...repository, store });

/** Every object that is copied, with its content's hash: two repositories are the same when these are. */
export async function contentOf({ store }: Repository): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for await (const { key } of store.list(`${cluster}/`)) {
    if (/^[^/]+\/(owner|holds)\//.test(key)) continue;
    const hash = createHash('sha256');
    for await (const piece of await store.read(key)) hash.update(piece);
    content[key] = hash.digest('hex');
  }
  return content;
}

export async function listed(repository: Repository, keys: KeyRing): Promise<string[]> {
  const entries = await listBackups(repository, keys, cluster);
  return entries.map(({ id, state }) => (state === 'whole' ? id : `${id} is ${state}`));
}

export async function keyOf({ store }: Repository, pattern: RegExp): Promise<string> {
  for await (const { key } of store.list(`${cluster}/`)) if (pattern.test(key)) return key;
  throw new Error(`no object like ${pattern}`);
}

/** Notes what was created, in order. */
export function recording(store: ObjectStore, order: string[]): ObjectStore {
  return storeWith(store, {
    create: async (key, body, options) => {
      const created = await store.create(key, body, options);
      order.push(key);
      return created;
    },
  });
}

/** Something else happens once, right after an object like this was created. */
export function interleaved(store: ObjectStore, key: RegExp, act: () => Promise<void>): ObjectStore {
  let happened = false;
  return storeWith(store, {
    create: async (at, body, options) => {
      const created = await store.create(at, body, options);
      if (key.test(at) && !happened) {
        happened = true;
        await act();
      }
      return created;
    },
  });
}

/** One bit, in the middle. */
export function flip(path: string, at?: number): void {
  const bytes = readFileSync(path);
  const place = at ?? bytes.length >> 1;
  bytes[place] = (bytes[place] as number) ^ 1;
  writeFileSync(path, bytes);
}
