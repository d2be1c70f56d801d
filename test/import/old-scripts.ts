import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from '../support/postgres.ts';

const run = promisify(execFile);

export const passphrase = 'pass phrase: ü "quoted" $HOME';

/** Runs a line of a script with the programs of the cluster's major, its connection, and the settings a `.env` had. */
export async function script(
  { bin, socketDir, port, user }: Pick<Cluster, 'bin' | 'socketDir' | 'port' | 'user'>,
  line: string,
  settings: Record<string, string> = {},
): Promise<void> {
  const connection = { PGHOST: socketDir, PGPORT: String(port), PGUSER: user };
  const env = { PATH: `${bin}:${process.env.PATH}`, LC_ALL: 'C', BACKUP_ENCRYPTION_PASSWORD: passphrase };
  await run('bash', ['-euo', 'pipefail', '-c', line], { env: { ...env, ...connection, ...settings } });
}

/** What `backup.sh full|incremental|remote` of the logical service wrote, by its own commands. */
export async function tierDump(
  server: Cluster,
  backups: string,
  { tier, time, database, cipher }: { tier: string; time: string; database: string; cipher?: string },
): Promise<string> {
  const file = join(backups, tier, `${tier}_${time}.sql.gz${cipher === undefined ? '' : '.enc'}`);
  mkdirSync(dirname(file), { recursive: true });
  mkdirSync(join(backups, 'logs'), { recursive: true });
  writeFileSync(join(backups, 'logs', `backup_${time}.log`), 'backup finished\n');
  const encrypt =
    cipher === undefined ? '' : `| openssl enc -${cipher} -salt -pbkdf2 -pass env:BACKUP_ENCRYPTION_PASSWORD`;
  await script(
    server,
    `pg_dump -d "$POSTGRES_DATABASE" --format=plain --no-owner --no-acl | gzip -9 ${encrypt} > "$FILE"`,
    { POSTGRES_DATABASE: database, FILE: file },
  );
  return file;
}

/** What `db_backup.sh` of plan A wrote below `/data/db-backups`. */
export async function planADump(
  server: Cluster,
  base: string,
  { database, time, host }: { database: string; time: string; host: string },
): Promise<string> {
  mkdirSync(join(base, 'data'), { recursive: true });
  mkdirSync(join(base, 'reports'), { recursive: true });
  const stem = `${database}_${time}_${host}`;
  const file = join(base, 'data', `${stem}.dump`);
  await script(
    server,
    `pg_dump -Fc -Z 9 -d "$PG_DATABASE" -f "$FILE"
     sha256sum "$FILE" > "$FILE.sha256"
     pg_dumpall --globals-only > "\${FILE%.dump}_globals.sql"
     cat > "$REPORT" <<JSON
{"database": "$PG_DATABASE", "host": "127.0.0.1", "port": "5432", "startedAt": "2025-10-11T18:00:00Z",
 "finishedAt": "2025-10-11T18:05:12Z", "durationSeconds": 312, "mode": "local", "tool": "ossutil", "status": "SUCCESS", "errorMessage": "",
 "local": {"file": "$FILE", "globalsFile": "\${FILE%.dump}_globals.sql", "checksumSha256": "$(sha256sum "$FILE" | cut -d' ' -f1)",
           "sizeBytes": $(stat -c %s "$FILE")}, "remote": {"urls": []}}
JSON`,
    { PG_DATABASE: database, FILE: file, REPORT: join(base, 'reports', `${stem}.json`) },
  );
  return file;
}
