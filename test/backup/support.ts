import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createDecoder } from '../../codec/decode.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { sealingOf } from '../../repository/keys.ts';
import { associatedData } from '../../repository/layout.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { archiveCommand } from '../../wal/archive-command.ts';
import { reloadConfig } from '../postgres/reload.ts';
import type { Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';

/** Decodes the parts of a tablespace, joins them, and lets tar unpack them: what README.txt tells a person to do. */
export async function unpackBackup(
  cluster: ProtectedCluster,
  record: BackupRecord,
  folder: string,
  tablespace = 'pgdata',
): Promise<void> {
  const found = record.tablespaces.find(({ name }) => name === tablespace);
  // A tablespace that was unpacked before stands where the data directory has only a link to it.
  const tar = execFile('tar', ['-x', '-C', folder, '--keep-directory-symlink', '--exclude=pg_tblspc/*']);
  const done = new Promise<number | null>((resolve) => tar.once('exit', resolve));
  await pipeline(Readable.from(plainBytes(cluster, record, found?.parts ?? [])), tar.stdin as NodeJS.WritableStream);
  if ((await done) !== 0) throw new Error('tar failed');
}

/** The manifest as it is stored beside the parts. */
export async function unpackManifest(cluster: ProtectedCluster, record: BackupRecord, folder: string): Promise<void> {
  const pieces = Readable.from(plainBytes(cluster, record, [record.manifest]));
  await pipeline(pieces, createWriteStream(join(folder, 'backup_manifest')));
}

async function* plainBytes(cluster: ProtectedCluster, record: BackupRecord, parts: { key: string }[]) {
  for (const { key } of parts) {
    const stored = await cluster.repository.store.read(key);
    const decoder = createDecoder({ sealing: sealingOf(record, cluster.keys), associatedData: associatedData(key) });
    yield* stored.pipe(decoder);
  }
}

const node = join(import.meta.dirname, '../../node_modules/.bin/node');

/** Starts a backup in a process of its own; `copying` and `committing` stop it dead there, which is waited for. */
export async function startBackupProcess(
  stage: Stage,
  place: 'copying' | 'committing' | 'nowhere',
): Promise<{ kill9(): Promise<void> }> {
  const program = join(import.meta.dirname, 'child.ts');
  const child = spawn(node, [program, stage.configFile, place], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  if (place !== 'nowhere') {
    const first = await Promise.race([once(child.stdout, 'data'), ended]);
    if (String(first[0]) !== 'here\n') throw new Error(`the backup process ended with ${first.join(' ')}`);
  }
  return {
    kill9: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The copies that the server believes are under way. */
export async function walsenders({ server }: Stage): Promise<string[]> {
  const rows = await server.sql<{ name: string }>(
    `SELECT application_name AS name FROM pg_stat_activity WHERE backend_type = 'walsender'`,
  );
  return rows.map(({ name }) => name);
}

/** Ids that have objects in the repository. */
export async function idsWithParts({ cluster }: Stage): Promise<string[]> {
  const ids = new Set<string>();
  for await (const { key } of cluster.repository.store.list(`${cluster.name}/`)) {
    const id = /\/base\/([^/]+)\//.exec(key)?.[1];
    if (id !== undefined) ids.add(id);
  }
  return [...ids];
}

/** The backups that are listed, each of which must be whole. */
export async function listed({ cluster }: Stage): Promise<string[]> {
  const entries = await listBackups(cluster.repository, cluster.keys, cluster.name);
  return entries.map(({ id, state }) => (state === 'whole' ? id : `${id} is ${state}`));
}

/** pg_verifybackup, of the server's own major, on what the parts decode to. */
export async function assertRestorable(stage: Stage, record: BackupRecord): Promise<void> {
  const folder = tempDir();
  await unpackBackup(stage.cluster, record, folder);
  execFileSync(join(stage.server.bin, 'pg_verifybackup'), ['-n', folder]);
}

/** As if nobody had ever backed it up, and as it should be: what a test leaves, also one that fails, is in no other one's way. */
export async function asNew(stage: Stage): Promise<void> {
  const { server, cluster, folder } = stage;
  if (!server.running()) await server.start();
  await stage.letShip(true);
  await letArchive(stage, true);
  await server.sql(`SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'walsender'`);
  const { store } = cluster.repository;
  for await (const { key } of store.list(`${cluster.name}/`))
    if (/\/(base|backups|holds)\//.test(key)) await store.remove(key);
  for (const name of readdirSync(cluster.paths.backups)) rmSync(join(cluster.paths.backups, name), { recursive: true });
  rmSync(join(folder, 'far'), { recursive: true, force: true });
}

/** Whether PostgreSQL's archiver gets rid of finished WAL. */
export async function letArchive({ server, cluster }: Stage, allowed: boolean): Promise<void> {
  const command = allowed ? archiveCommand(cluster.paths) : '/bin/false';
  await server.sql(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
  await reloadConfig(server);
}

/** Takes the archive's segments away. */
export async function removeWal({ cluster }: Stage): Promise<void> {
  const { store } = cluster.repository;
  for await (const { key } of store.list(`${cluster.name}/`)) if (key.includes('/wal/')) await store.remove(key);
}
