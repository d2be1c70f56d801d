import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionConfig } from '../core/config.ts';
import type { Run } from '../core/run.ts';
import { execute, withClient } from '../postgres/client.ts';
import { startServer } from '../postgres/control.ts';
import { runTool } from '../postgres/run.ts';
import type { Tools } from '../postgres/tools.ts';
import type { DrillFolder } from './folder.ts';

/** An empty server of our own that nobody but this process's user can reach. */
export type Scratch = {
  connection: ConnectionConfig;
  /** A login of few rights, that may read and write all rows; null where its major has no such roles (13). */
  rows: ConnectionConfig | null;
  stop(): Promise<void>;
};

/** No role of any dump has this name, so that all of its globals can be made beside it. */
const superuser = 'pgproof_drill';
const rowsLogin = 'pgproof_drill_rows';

/**
 * Makes a server in the drill's folder and starts it: by a private socket only, it archives nothing, subscribes to nothing, and keeps
 * nothing safe, because it is thrown away.
 * @throws {PgproofError} `tool-failed`, `no-space`, `server-settings`; nothing runs after a throw.
 */
export async function startScratch(tools: Tools, { root, dataDir, workRoot }: DrillFolder, run: Run): Promise<Scratch> {
  await mkdir(workRoot, { recursive: true, mode: 0o700 });
  // The database gets the locale of the dump's; the server's own says nothing.
  const like = ['--locale=C', '--encoding=UTF8', '--auth=trust', `--username=${superuser}`, '--no-sync'];
  await runTool(tools, 'initdb', ['-D', dataDir, ...like], { signal: run.signal, timeoutSeconds: 600 });
  await writeFile(join(dataDir, 'pg_hba.conf'), 'local all all trust\n', { mode: 0o600 });
  const server = await startServer({
    tools,
    dataDir,
    socketDir: workRoot,
    settings,
    logFile: join(root, 'log'),
    signal: run.signal,
    wait: 'connect',
    user: superuser,
  });
  const { connection } = server;
  const rows = tools.major < 14 ? null : { ...connection, user: rowsLogin };
  if (rows !== null)
    await withClient(connection, (client) => execute(client, makeRowsLogin), { signal: run.signal }).catch(
      async (error: unknown) => {
        await server.stop('immediate');
        throw error;
      },
    );
  return { connection, rows, stop: () => server.stop('immediate') };
}

/** No superuser, and no owner of anything: what code in a dump's rows may do is what this may do. */
const makeRowsLogin = `CREATE ROLE ${rowsLogin} LOGIN BYPASSRLS IN ROLE pg_read_all_data, pg_write_all_data`;

const settings = {
  archive_mode: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  autovacuum: 'off',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  // Nothing of it is outside of the data directory.
  dynamic_shared_memory_type: 'mmap',
  restart_after_crash: 'off',
  // The login that brings the rows brings large objects, too, and owns none.
  lo_compat_privileges: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
};
