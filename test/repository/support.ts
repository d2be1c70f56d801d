import { join } from 'node:path';
import type { Lsn } from '../../core/lsn.ts';
import { generateKeyFile, readKeyFile } from '../../repository/key-file.ts';
import type { ClusterKeys, KeyCipher, KeyRing } from '../../repository/keys.ts';
import { basePrefix, eraKey } from '../../repository/layout.ts';
import type { BackupRecord, EraRecord } from '../../repository/record.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { tempDir } from '../support/temp.ts';

export const cluster = 'shop';
export const era = '0001-pg15-7400000000000000001';

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

export const newRepository = (): Promise<Repository> =>
  initRepository('local', { type: 'file', path: join(tempDir('repository'), 'r') });

export async function newKeys(cipher?: KeyCipher): Promise<KeyRing> {
  return readKeyFile(await newKeyFile(cipher));
}

/** @returns its path. */
export async function newKeyFile(cipher?: KeyCipher): Promise<string> {
  return (await generateKeyFile(join(tempDir('keys'), 'main.key'), cipher)).path;
}

/** Backups and WAL under one key, as most clusters have it. */
export const both = (keys: KeyRing): ClusterKeys => ({ keys, walKeys: keys });

export const eraFacts = {
  systemId: '7400000000000000001',
  major: 15,
  segmentBytes: 16 << 20,
  timeline: 1,
  insertLsn: '0/1000028' as Lsn,
  inRecovery: false,
};

export async function putEra(repository: Repository, facts: Partial<EraRecord> = {}): Promise<void> {
  const record: EraRecord = {
    formatVersion: 1,
    era,
    systemId: eraFacts.systemId,
    major: 15,
    segmentBytes: eraFacts.segmentBytes,
    timeline: 1,
    startLsn: '0/1000028',
    keyId: null,
    declaredAt: '2026-11-20T10:00:00.000Z',
    ...facts,
  };
  await repository.store.create(eraKey(cluster, record.era), bytesOf(JSON.stringify(record)));
}

export const idOf = (number: number): string => `20261120T14050${number}Z-full-3fa94c1${number}`;

/** A record as a copy leaves it before it is committed. */
export function recordOf(id: string, changes: Partial<BackupRecord> = {}): Omit<BackupRecord, 'signature'> {
  const part = (name: string) => ({
    key: `${basePrefix(cluster, era, id)}${name}`,
    storedBytes: 4,
    plainBytes: 10,
    sha256: 'ab'.repeat(32),
  });
  return {
    formatVersion: 1,
    id,
    type: 'full',
    parent: null,
    cluster,
    era,
    systemId: eraFacts.systemId,
    major: 15,
    serverVersion: '15.18',
    segmentBytes: eraFacts.segmentBytes,
    timeline: 1,
    startLsn: '0/2000028',
    stopLsn: '0/2000138',
    startedAt: '2026-11-20T14:05:01.000Z',
    stoppedAt: '2026-11-20T14:05:09.000Z',
    tablespaces: [{ name: 'pgdata', path: null, parts: [part('pgdata.1.tar.zst')] }],
    manifest: part('backup_manifest.zst'),
    codec: { compression: 'zstd', cipher: 'none' },
    keyId: null,
    platform: { libc: null, icu: null, collations: [], preloadLibraries: '', minimums: {} },
    verified: { files: 1, bytes: 10, against: 'backup_manifest', how: 'streaming' },
    ...changes,
  };
}

/** The parts of a backup that was copied and not committed. */
export async function putParts(repository: Repository, id: string): Promise<void> {
  for (const name of ['pgdata.1.tar.zst', 'pgdata.2.tar.zst', 'backup_manifest.zst']) {
    await repository.store.create(`${basePrefix(cluster, era, id)}${name}`, bytesOf('part'));
  }
}

export async function keysUnder(repository: Repository, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of repository.store.list(prefix)) keys.push(key);
  return keys;
}
