import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { recognizedCiphers } from '../../codec/recognize.ts';
import type { Cipher } from '../../codec/sealing.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { rotateKeyFile } from '../../repository/key-rotate.ts';
import { decryptProgram } from '../../repository/readme-programs.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { toolFolders } from '../../setup/locate.ts';
import { locateTinkPython } from '../../setup/tools.ts';
import { archiveCommand } from '../../wal/archive-command.ts';
import { awaitArchived } from '../../wal/await.ts';
import { runShipper } from '../../wal/shipper.ts';
import { createRestorePoint, switchWal } from '../../wal/switch.ts';
import { openShop } from '../host/opened.ts';
import { bin, type Cluster, majors, startCluster } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { keptTempDir, tempDir } from '../support/temp.ts';

/** What a person finds who has the repository, the key file and stock programs, and follows README.txt to the letter. */
describe.each([
  { major: majors[0] as string, ciphers: ['aes-256-gcm', 'chacha20-poly1305'], tablespaces: ['fast'] },
  { major: majors.at(-1) as string, ciphers: ['aes-256-cbc', 'chacha20-poly1305'], tablespaces: [] },
  { major: majors.at(-1) as string, ciphers: [], tablespaces: [] },
  ...(process.env.PGPROOF_TEST_FULL
    ? ([
        { major: majors.at(-1) as string, ciphers: ['chacha20-poly1305', 'aes-192-cbc'], tablespaces: [] },
        { major: majors[0] as string, ciphers: ['aes-128-cbc', 'aes-256-gcm'], tablespaces: [] },
      ] as const)
    : []),
] as const)('README.txt of a repository of PostgreSQL $major, ciphers $ciphers', ({ major, ciphers, tablespaces }) => {
  let folder: string;
  let server: Cluster;
  let shop: ProtectedCluster;
  let backup: BackupRecord;

  beforeAll(async () => {
    folder = keptTempDir('readme');
    server = await startCluster({
      major,
      tablespaces: [...tablespaces],
      settings: { archive_mode: 'on', archive_command: '/bin/false' },
    });
    const [cipher, next] = ciphers;
    shop = await openShop(server, folder, cipher === undefined ? { key: false } : { cipher });
    await server.sql(`ALTER SYSTEM SET archive_command = '${archiveCommand(shop.paths).replaceAll("'", "''")}'`);
    await server.sql('SELECT pg_reload_conf()');
    const end = new AbortController();
    const shipping = runShipper(shop, { signal: end.signal, intervalMs: 100 });
    try {
      backup = await fill(server, shop, tablespaces[0], async () => {
        if (next !== undefined) await rotateKeyFile(join(folder, 'main.key'), next);
      });
    } finally {
      end.abort();
      await shipping;
    }
    await server.stop('immediate');
    renameSync(join(folder, 'repository'), join(folder, 'moved')); // wherever it is mounted one day
  });
  afterAll(async () => {
    await server?.dispose();
    execFileSync('rm', ['-rf', folder]);
  });

  test('restores to a restore point, with its letter followed', () => {
    expect(ciphersIn(join(folder, 'moved'))).toEqual(families(ciphers));
    const home = tempDir('restored');
    const readme = readFileSync(join(folder, 'moved/README.txt'), 'utf8');
    for (const name of ['decrypt.py', 'decode.sh', 'restore.sh'])
      writeFileSync(join(home, name), programIn(readme, name));
    const into = join(home, 'data');
    const values: Record<string, string> = {
      REPOSITORY: join(folder, 'moved'),
      CLUSTER: 'shop',
      ERA: backup.era,
      BACKUP: backup.id,
      INTO: into,
      WAL: join(home, 'wal'),
      KEY_FILE: join(folder, 'main.key'),
      WAL_KEY_FILE: join(folder, 'main.key'),
      PYTHON: locateTinkPython() as string,
      PATH: [bin(major), '/usr/bin', '/bin', ...toolFolders()].join(':'),
    };
    const [prepare, start] = commandsIn(readme, values);
    const shell = (commands: string) =>
      execFileSync('bash', ['-euc', commands], {
        cwd: home,
        env: {},
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const exports = prepare!.slice(0, prepare!.indexOf('bash restore.sh'));
    shell(prepare as string);
    appendFileSync(join(into, 'postgresql.auto.conf'), lineIn(readme, 'recovery_target_name', 'enough'));
    try {
      expect(shell(`${exports}\n${start}`)).toMatch(/\n t /);
      const ask = (sql: string) => shell(`${exports}\npsql -XAt -h "$INTO" -U postgres -d postgres -c "${sql}"`).trim();
      expect(ask('SELECT count(*), max(n) FROM orders')).toBe('2|2');
      if (tablespaces.length > 0) expect(ask('SELECT count(*) FROM elsewhere')).toBe('1000');
      expect(ask('SHOW archive_command')).toBe('/bin/false');
    } finally {
      if (existsSync(join(into, 'postmaster.pid'))) shell(`${exports}\npg_ctl stop -w -m immediate -D "$INTO"`);
    }
  });

  test('stops at a part that was changed', () => {
    const part = backup.tablespaces[0]?.parts[0]?.key as string;
    const restore = restoreDamaged((repository) => {
      const stored = readFileSync(join(repository, part));
      stored[stored.length >> 1] = (stored[stored.length >> 1] as number) ^ 1;
      writeFileSync(join(repository, part), stored);
    });
    expect(restore).toThrow(/did NOT match/);
  });

  test('stops at WAL that is not what its name says, also where the cipher does not notice', () => {
    const restore = restoreDamaged((repository) => {
      const names = globSync('shop/*/wal/*/*/*', { cwd: repository }).sort();
      copyFileSync(join(repository, names[0] as string), join(repository, names.at(-1) as string));
    });
    // Tink's objects do not even open under another name.
    expect(restore).toThrow(ciphers[0] === 'aes-256-gcm' ? /No matching key found/ : /content does not fit its tag/);
  });

  /** Runs restore.sh on a copy of the repository to which something was done. */
  function restoreDamaged(damage: (repository: string) => void): () => void {
    const home = tempDir('damaged');
    const repository = join(home, 'repository');
    mkdirSync(repository);
    execFileSync('cp', ['-a', join(folder, 'moved/shop'), join(repository, 'shop')]);
    damage(repository);
    const readme = readFileSync(join(folder, 'moved/README.txt'), 'utf8');
    for (const name of ['decrypt.py', 'decode.sh', 'restore.sh'])
      writeFileSync(join(home, name), programIn(readme, name));
    const env = {
      REPOSITORY: repository,
      CLUSTER: 'shop',
      ERA: backup.era,
      BACKUP: backup.id,
      INTO: join(home, 'data'),
      WAL: join(home, 'wal'),
      ...(ciphers.length === 0 ? {} : { KEY_FILE: join(folder, 'main.key') }),
      PYTHON: locateTinkPython() as string,
      PATH: [bin(major), '/usr/bin', '/bin', ...toolFolders()].join(':'),
    };
    return () => execFileSync('bash', ['restore.sh'], { cwd: home, env, stdio: 'pipe' });
  }
});

test('the program that decrypts has at most 20 lines', () => {
  expect(decryptProgram.trimEnd().split('\n').length).toBeLessThanOrEqual(20);
});

async function fill(
  server: Cluster,
  shop: ProtectedCluster,
  tablespace: string | undefined,
  rotate: () => Promise<void>,
): Promise<BackupRecord> {
  await server.sql('CREATE TABLE orders AS SELECT 1 AS n');
  if (tablespace !== undefined) {
    await server.sql(`CREATE TABLE elsewhere TABLESPACE ${tablespace} AS SELECT generate_series(1, 1000)`);
  }
  const record = await takeBackup(shop, quietRun());
  await rotate();
  await server.sql('INSERT INTO orders VALUES (2)');
  await createRestorePoint(shop, 'enough');
  await server.sql('INSERT INTO orders VALUES (3)');
  const { lsn } = await switchWal(shop);
  const range = { timeline: 1, start: record.startLsn as never, end: lsn };
  await awaitArchived(shop, range, quietRun(), new Date(Date.now() + 60_000));
  return record;
}

/** What the encrypted objects say of their ciphers; the CBC forms all say the same. */
function ciphersIn(repository: string): Set<string> {
  const names = globSync('**/*.enc', { cwd: repository });
  const starts = names.map((name) => readFileSync(join(repository, name)).subarray(0, 64));
  return new Set(starts.map((bytes) => recognizedCiphers(bytes)[0] ?? 'unknown'));
}

const families = (ciphers: readonly Cipher[]): Set<string> =>
  new Set(ciphers.map((cipher) => (cipher.endsWith('cbc') ? 'aes-256-cbc' : cipher)));

function programIn(readme: string, name: string): string {
  const begin = `======== ${name} ========\n`;
  return readme.slice(readme.indexOf(begin) + begin.length, readme.indexOf(`======== end of ${name}`));
}

/** The indented commands of steps 2 and 4; each exported variable gets its value. */
function commandsIn(readme: string, values: Record<string, string>): string[] {
  return ['2. ', '4. '].map((step) => {
    const section = readme
      .slice(readme.indexOf(`\n${step}`))
      .split('\n    ')
      .slice(1)
      .join('\n');
    const [first] = section.split(/\n\n {3}\S/);
    return (first as string)
      .split('\n')
      .map((line) => line.replace(/\b([A-Z_]+)=(\S+)/g, (_, name) => `${name}='${values[name]}'`))
      .join('\n');
  });
}

function lineIn(readme: string, name: string, value: string): string {
  const line = readme.split('\n').find((each) => each.trim().startsWith(name)) as string;
  return `${line.trim().replace(/'.*'/, `'${value}'`)}\n`;
}
