import * as z from 'zod';
import { query, queryOne, type SqlClient } from '../postgres/client.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { alterSystem, proposeSettings, type SettingChange } from './propose.ts';

const names = ['wal_level', 'archive_mode', 'archive_command', 'archive_timeout', 'max_wal_senders', 'archive_library'];

/** Each setting that backups and WAL depend on, with the statement that puts it right. */
export async function checkSettings(
  client: SqlClient,
  cluster: ProtectedCluster,
  facts: ServerFacts,
): Promise<Finding[]> {
  const changes = new Map(proposeSettings(cluster, facts.settings).map((change) => [change.name, change]));
  const pending = await query(
    client,
    'SELECT name FROM pg_settings WHERE pending_restart AND name = ANY ($1)',
    [names],
    z.object({ name: z.string() }),
  );
  const waiting = new Set(pending.map(({ name }) => name));
  return names.flatMap((name) => {
    const change = changes.get(name);
    if (change !== undefined) return [wrong(change, waiting.has(name))];
    return facts.settings[name] ? [ok(name, facts.settings[name])] : [];
  });
}

function wrong({ name, current, proposed, restart, reason }: SettingChange, waiting: boolean): Finding {
  const detail = `${name} is ${current === null ? 'not visible to this role' : `'${current}'`}: ${reason}`;
  if (waiting) return problem(name, `${detail}; a new value waits for a restart`, 'Restart PostgreSQL.');
  return problem(
    name,
    detail,
    `${alterSystem({ name, proposed })} ${restart ? 'Then restart PostgreSQL.' : 'SELECT pg_reload_conf();'}`,
  );
}

/** Whether damage inside data files would be noticed at all. */
export function checkPageChecksums({ settings }: ServerFacts): Finding {
  if (settings.data_checksums === 'on') return ok('page-checksums', 'on');
  return warning(
    'page-checksums',
    'off: damage inside a data file is backed up and restored unnoticed',
    'With PostgreSQL stopped: pg_checksums --enable -D <data directory>',
  );
}

const archiverRow = z.object({
  failing: z.boolean(),
  tried: z.boolean(),
  segment: z.string().nullable(),
  at: z.string().nullable(),
  failures: z.string(),
});

/** What PostgreSQL itself says of archive_command: its last word counts. */
export async function checkArchiver(client: SqlClient): Promise<Finding> {
  const { failing, tried, segment, at, failures } = await queryOne(
    client,
    `SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
            coalesce(last_failed_time, last_archived_time) IS NOT NULL AS tried,
            last_failed_wal AS segment, last_failed_time::text AS at, failed_count::text AS failures
       FROM pg_stat_archiver`,
    [],
    archiverRow,
  );
  if (!tried) return ok('archiver', 'has archived nothing yet');
  if (!failing)
    return ok('archiver', `its last attempt succeeded (${failures} failures since the statistics were reset)`);
  return problem(
    'archiver',
    `archive_command fails: last with ${segment} at ${at}`,
    `Look in the server's log for "archive command failed"; it quotes what the command said.`,
  );
}
