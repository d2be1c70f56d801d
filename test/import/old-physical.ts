import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Stage, until } from '../support/stage.ts';

const run = promisify(execFile);

export const passphrase = 'correct horse, battery staple';

/** The folder that backup.sh of the old physical service fills, filled by that script's own commands. */
export type OldScript = {
  dir: string;
  /** `pg_basebackup -Ft -Xs -c fast`, then gzip. @param stamp `20260114_120000` */
  base(stamp: string): Promise<string>;
  /** `openssl enc -aes-256-cbc -salt -pbkdf2`, as the script encrypts: the plain file goes. */
  encrypt(file: string, cipher?: string): Promise<void>;
  /** A shell line of the script, in its folder. */
  sh(line: string): Promise<void>;
  /** Switches WAL, and waits until archive_command has copied what was written before. */
  switchWal(): Promise<void>;
  wal(): string[];
};

/** From now on the server's archive_command is the script's. */
export async function oldScript({ server, folder }: Stage): Promise<OldScript> {
  const dir = join(folder, 'backups');
  for (const name of ['base', 'wal', 'remote', 'logs']) mkdirSync(join(dir, name), { recursive: true });
  await server.sql(`ALTER SYSTEM SET archive_command = 'cp %p ${dir}/wal/%f'`);
  await server.sql('SELECT pg_reload_conf()');
  const env = { ...process.env, PATH: `${server.bin}:${process.env.PATH}`, PASSWORD: passphrase };
  const sh = async (line: string): Promise<void> => void (await run('sh', ['-euc', line], { cwd: dir, env }));
  return {
    dir,
    sh,
    base: async (stamp) => {
      const name = `base_${stamp}`;
      await sh(
        `pg_basebackup -h '${server.socketDir}' -p ${server.port} -U ${server.user} -D base/${name} -Ft -Xs -P -c fast 2>/dev/null
         gzip base/${name}/base.tar base/${name}/pg_wal.tar
         printf 'backup_type=base\\ntimestamp=${stamp}\\n' > base/${name}/backup_info`,
      );
      return name;
    },
    encrypt: (file, cipher = 'aes-256-cbc') =>
      sh(
        `openssl enc -${cipher} -salt -pbkdf2 -pass pass:"$PASSWORD" -in '${file}' -out '${file}.enc' && rm '${file}'`,
      ),
    switchWal: async () => {
      const [row] = await server.sql<{ name: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS name');
      await until(() => existsSync(join(dir, 'wal', (row as { name: string }).name)));
    },
    wal: () => readdirSync(join(dir, 'wal')).sort(),
  };
}
