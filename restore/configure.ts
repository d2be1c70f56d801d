import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { keepAutoConf } from './handover.ts';
import type { RestoreMode, RestorePlan } from './record.ts';
import type { WorkFolder } from './work.ts';

/**
 * Turns the unpacked backup into a data directory that will recover, and writes the configuration that recovery runs with.
 * It is all our own: what the backup brought (in its folder, or in Debian's place outside of it) may name paths, libraries,
 * commands and servers that are not to be touched from here.
 */
export async function configureRecovery(plan: RestorePlan, mode: RestoreMode): Promise<void> {
  if (mode === 'restore') await keepAutoConf(plan.into);
  await write(join(plan.into, 'postgresql.auto.conf'), '# Set aside by pgproof until recovery is over.\n');
  await rm(join(plan.into, 'standby.signal'), { force: true });
  await rm(join(plan.into, 'backup_manifest'), { force: true });
  // PostgreSQL makes the links of tablespaces anew from this file.
  await rm(join(plan.into, 'tablespace_map'), { force: true });
  if (plan.tablespaces.length > 0) await write(join(plan.into, 'tablespace_map'), tablespaceMap(plan));
  await write(join(plan.into, 'recovery.signal'), '');
}

/** The files that recovery's server is started with, in a folder of their own. */
export async function writeServerFiles(work: WorkFolder): Promise<void> {
  await write(work.configFile, '# pgproof: everything is on the command line.\n');
  // The socket lies in a folder that only this user can enter.
  await write(work.hbaFile, 'local all all trust\n');
  await write(work.identFile, '');
}

/**
 * What recovery's server is told on its command line, which beats every file.
 * Isolation: no archiving (a restored server keeps what it would archive, by a command that fails), no subscriptions, no
 * connection out, none in but by the private socket, nothing of the primary's that would run or write elsewhere.
 */
export async function recoverySettings(
  cluster: ProtectedCluster,
  plan: RestorePlan,
  mode: RestoreMode,
  work: WorkFolder,
): Promise<Record<string, string>> {
  const sandbox = mode === 'sandbox';
  return {
    config_file: work.configFile,
    hba_file: work.hbaFile,
    ident_file: work.identFile,
    restore_command: restoreCommand(cluster, work),
    ...targetSettings(plan, sandbox ? 'pause' : 'promote'),
    ...Object.fromEntries(Object.entries(plan.minimums).map(([name, value]) => [name, String(value)])),
    // Without queries, recovery also passes a place where the primary's limits were raised beyond ours.
    hot_standby: sandbox ? 'on' : 'off',
    // Off, the new timeline's history file would never be archived, also not later.
    archive_mode: sandbox ? 'off' : 'on',
    // An archiver that is told above 128 gives up at once; told 1, it makes the server's shutdown wait for its retries.
    archive_command: 'exit 255',
    max_logical_replication_workers: '0',
    autovacuum: 'off',
    fsync: sandbox ? 'off' : 'on',
    restart_after_crash: 'off',
    // The folder is durable already; before 14 there is only the slow way, a file at a time.
    ...(plan.major >= 14 ? { recovery_init_sync_method: 'syncfs' } : {}),
    shared_buffers: '128MB',
    // Otherwise PostgreSQL takes them for leftovers of a broken replay.
    ...(plan.created.length > 0 ? { allow_in_place_tablespaces: 'on' } : {}),
    // Nothing of it is outside of the data directory.
    dynamic_shared_memory_type: 'mmap',
    // Promotion with it off would throw the noted times away.
    track_commit_timestamp: (await isEmpty(join(plan.into, 'pg_commit_ts'))) ? 'off' : 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
  };
}

/** Of all targets only this one is named: the file in which an older one could stand was set aside. */
function targetSettings({ recovery }: RestorePlan, action: 'pause' | 'promote'): Record<string, string> {
  return {
    [recovery.setting]: recovery.value,
    recovery_target_inclusive: recovery.inclusive ? 'on' : 'off',
    recovery_target_timeline: String(recovery.timeline),
    recovery_target_action: action,
  };
}

/** In restore_command, %f and %p are PostgreSQL's; a per cent sign of a path is written twice. */
function restoreCommand({ paths }: ProtectedCluster, work: WorkFolder): string {
  const quoted = (path: string) => `'${path.replaceAll("'", `'\\''`).replaceAll('%', '%%')}'`;
  return `${quoted(join(paths.scripts, 'restore-wal'))} ${quoted(work.wal)} '%f' '%p'`;
}

/** Source: PostgreSQL src/backend/access/transam/xlogrecovery.c, read_tablespace_map. */
function tablespaceMap({ tablespaces }: RestorePlan): string {
  return tablespaces.map(({ oid, to }) => `${oid} ${to.replaceAll('\\', '\\\\')}\n`).join('');
}

async function isEmpty(path: string): Promise<boolean> {
  return (await readdir(path)).length === 0;
}

async function write(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
}
