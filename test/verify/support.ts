import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { VerifiedRepository } from '../../core/verified.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { backupOutcome } from '../../report/backup.ts';
import { reported } from '../../report/file.ts';
import type { KeyCipher } from '../../repository/keys.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { initRepository, openRepository, type Repository } from '../../repository/repository.ts';
import { type VerifyOptions, verifyRepository } from '../../verify/repository.ts';
import { openRestoreStage, type RestoreStage } from '../restore/support.ts';
import { quietRun } from '../support/run.ts';
import { tempDir } from '../support/temp.ts';

/** Two backups with some WAL behind each, small segments, and the reports of both backups. Copies of it are damaged. */
export type VerifyStage = RestoreStage & { first: BackupRecord; second: BackupRecord };

export async function openVerifyStage(major: string, cipher?: KeyCipher): Promise<VerifyStage> {
  const stage = await openRestoreStage({
    major,
    ...(cipher === undefined ? {} : { cipher }),
    server: { initdbArgs: ['--wal-segsize=1'] },
  });
  try {
    await stage.server.sql('CREATE TABLE kept (n int)');
    const first = await backup(stage);
    for (const n of [1, 2, 3]) await row(stage, n);
    const second = await backup(stage);
    for (const n of [4, 5]) await row(stage, n);
    return { ...stage, first, second };
  } catch (error) {
    await stage.dispose();
    throw error;
  }
}

async function row(stage: RestoreStage, n: number): Promise<void> {
  await stage.server.sql(`INSERT INTO kept VALUES (${n})`);
  await stage.archive();
}

async function backup(stage: RestoreStage): Promise<BackupRecord> {
  let record: BackupRecord | undefined;
  const order = { operation: 'backup', workflow: null, requestedBy: 'nobody', reason: null } as const;
  await reported(stage.cluster, order, async (started) => {
    record = await stage.backup();
    return backupOutcome(record, started);
  });
  return record as BackupRecord;
}

/** A repository to be damaged by hand: its files. */
export type Copy = {
  cluster: ProtectedCluster;
  folder: string;
  /** Keys that match, ascending. */
  keys(pattern: RegExp): string[];
  /** Names of the archived segments, ascending. */
  segments(): string[];
  /** The key of a segment's object. */
  walKeyOf(segment: string): string;
  /** The key of the first part of a backup's data directory. */
  partOf(backupId: string): string;
  flip(key: string): void;
  truncate(key: string, bytes: number): void;
  remove(key: string): void;
  swap(a: string, b: string): void;
  write(key: string, bytes: Uint8Array | string): void;
  has(key: string): boolean;
};

/** The stage's repository as it is, with its own id. @param others what else the cluster has. */
export async function copyOf(stage: VerifyStage, others: readonly Repository[] = []): Promise<Copy> {
  const folder = join(tempDir('copy'), 'repository');
  cpSync(stage.cluster.repository.location, folder, { recursive: true });
  const repository = await openRepository('local', { type: 'file', path: folder });
  return copyIn(stage, folder, repository, [repository, ...others]);
}

/** A second home of the same objects: another repository, with an id of its own. */
export async function offsiteOf(stage: VerifyStage): Promise<Copy> {
  const folder = join(tempDir('offsite'), 'repository');
  const repository = await initRepository('offsite', { type: 'file', path: folder });
  cpSync(join(stage.cluster.repository.location, 'shop'), join(folder, 'shop'), { recursive: true });
  return copyIn(stage, folder, repository, [repository]);
}

function copyIn(stage: VerifyStage, folder: string, repository: Repository, repositories: Repository[]): Copy {
  const at = (key: string) => join(folder, key);
  const write = (key: string, bytes: Uint8Array | string) => {
    mkdirSync(join(at(key), '..'), { recursive: true });
    rmSync(at(key), { force: true });
    writeFileSync(at(key), bytes);
  };
  const copy: Copy = {
    cluster: { ...stage.cluster, repository, repositories, written: [repository] },
    folder,
    keys: (pattern) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
        .filter((key) => pattern.test(key))
        .sort(),
    segments: () => copy.keys(/\/wal\//).map((key) => key.slice(key.lastIndexOf('/') + 1).slice(0, 24)),
    walKeyOf: (segment) => onlyOne(copy.keys(new RegExp(`/wal/.*/${segment}-`)), segment),
    partOf: (backupId) => onlyOne(copy.keys(new RegExp(`/base/${backupId}/pgdata\\.1\\.`)), backupId),
    flip: (key) => {
      const bytes = readFileSync(at(key));
      const middle = bytes.length >> 1;
      bytes[middle] = (bytes[middle] as number) ^ 1;
      write(key, bytes);
    },
    truncate: (key, bytes) => write(key, readFileSync(at(key)).subarray(0, bytes)),
    remove: (key) => rmSync(at(key)),
    swap: (a, b) => {
      renameSync(at(a), `${folder}-aside`);
      renameSync(at(b), at(a));
      renameSync(`${folder}-aside`, at(b));
    },
    write,
    has: (key) => copy.keys(/./).includes(key),
  };
  return copy;
}

function onlyOne(keys: readonly string[], of: string): string {
  const [key, ...others] = keys;
  if (key === undefined || others.length > 0) throw new Error(`${keys.length} objects of ${of}`);
  return key;
}

export const everything: VerifyOptions = { share: 100, restore: false, backup: null, repair: false };

/** One look, without a report. Objects that cannot be read are tried again at once. */
export function look(
  { cluster }: Pick<Copy, 'cluster'>,
  options: Partial<VerifyOptions> = {},
): Promise<VerifiedRepository> {
  return verifyRepository(cluster, { ...everything, ...options }, [], quietRun(), { pauseMs: 1 });
}
