import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile } from '../../repository/key-rotate.ts';
import { dumpPrefix, tombstoneKey } from '../../repository/layout.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { toolFolders } from '../../setup/locate.ts';
import { locateTinkPython } from '../../setup/tools.ts';
import { bytesOf } from '../repository/support.ts';
import { alternate, bin, type Cluster, startCluster } from '../support/postgres.ts';
import { keptTempDir, tempDir } from '../support/temp.ts';
import { directoryDump, dumpBy, dumpIdOf, putDump } from './support.ts';

/* What a person finds who has the repository, the key file and stock programs, and follows README.txt to the letter for a dump. */

const [major] = alternate(1) as [string];
let folder: string;
let server: Cluster;
let repository: Repository;
let keyFile: string;

beforeAll(async () => {
  folder = keptTempDir('by-hand');
  server = await startCluster({ major });
  await server.sql('CREATE ROLE keeper');
  await server.sql('CREATE TABLE "Order lines" AS SELECT n, md5(n::text) FROM generate_series(1, 3000) AS n');
  await server.sql('ALTER TABLE "Order lines" OWNER TO keeper');
  repository = await initRepository('local', { type: 'file', path: join(folder, 'repository') });
  keyFile = (await generateKeyFile(join(folder, 'main.key'), 'aes-256-gcm')).path;
});
afterAll(async () => {
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const forms: [DumpRecord['format'], string, () => Promise<Buffer>][] = [
  ['custom', 'dump.custom', () => dumpBy(server, 'pg_dump', '--format=custom', '--dbname=postgres')],
  ['directory', 'dump.directory.tar', () => directoryDump(server)],
  ['plain', 'dump.sql', () => dumpBy(server, 'pg_dump', '--dbname=postgres')],
];

test.each(forms)(
  'a dump of format %s is restored with the letter of README.txt followed',
  async (format, stream, dump) => {
    const id = dumpIdOf(forms.findIndex(([each]) => each === format));
    if (format === 'plain') await rotateKeyFile(keyFile, 'chacha20-poly1305');
    await putDump(repository, await readKeyFile(keyFile), id, await dump(), {
      ...{ format, stream: stream as 'dump.custom', partBytes: 50_000 },
      globals: await dumpBy(server, 'pg_dumpall', '--globals-only'),
    });
    const home = tempDir('restored');
    const readme = readFileSync(join(repository.location, 'README.txt'), 'utf8');
    for (const name of ['decrypt.py', 'decode.sh', 'dump.sh']) writeFileSync(join(home, name), programIn(readme, name));
    const [unpack, load] = commandsIn(readme, { ...valuesFor(id, home) });
    const exports = unpack.slice(0, unpack.indexOf('bash dump.sh'));
    const shell = shellIn(home);
    shell(unpack);
    try {
      shell(`${exports}\n${load}`);
      const ask =
        'SELECT count(*), count(DISTINCT md5), pg_get_userbyid(relowner) FROM "Order lines", pg_class WHERE relname = \'Order lines\' GROUP BY 3';
      expect(await server.sql(ask, [], 'restored')).toEqual([{ count: '3000', pg_get_userbyid: 'keeper' }]);
    } finally {
      await server.sql('DROP DATABASE IF EXISTS restored');
    }
  },
);

test('a dump that was changed, or deleted, is not unpacked', async () => {
  const id = dumpIdOf(7);
  const record = await putDump(repository, await readKeyFile(keyFile), id, Buffer.from('--\n'), { stream: 'dump.sql' });
  const home = tempDir('damaged');
  const readme = readFileSync(join(repository.location, 'README.txt'), 'utf8');
  for (const name of ['decrypt.py', 'decode.sh', 'dump.sh']) writeFileSync(join(home, name), programIn(readme, name));
  const [unpack] = commandsIn(readme, { ...valuesFor(id, home) });
  const part = join(repository.location, record.dump.parts[0]?.key as string);
  const stored = readFileSync(part);
  rmSync(part);
  writeFileSync(part, Buffer.concat([stored, Buffer.from('x')]));
  expect(() => shellIn(home)(unpack)).toThrow(/did NOT match/);
  const tombstone = { formatVersion: 1, id, deletedAt: '2026-11-23T15:00:00.000Z', reason: 'expired' };
  await repository.store.create(tombstoneKey(dumpPrefix('shop'), id, '0000000e'), bytesOf(JSON.stringify(tombstone)));
  expect(() => shellIn(home)(unpack)).toThrow(/this dump was deleted/);
});

const valuesFor = (id: string, home: string): Record<string, string> => ({
  REPOSITORY: repository.location,
  CLUSTER: 'shop',
  DUMP: id,
  INTO: join(home, 'dump'),
  KEY_FILE: keyFile,
  PYTHON: locateTinkPython() as string,
});

function shellIn(cwd: string): (commands: string) => string {
  mkdirSync(join(cwd, 'home'), { recursive: true });
  const env = {
    PATH: [bin(major), '/usr/bin', '/bin', ...toolFolders()].join(':'),
    ...{ PGHOST: server.socketDir, PGPORT: String(server.port), PGUSER: server.user },
  };
  return (commands) =>
    execFileSync('bash', ['-euc', commands], { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function programIn(readme: string, name: string): string {
  const begin = `======== ${name} ========\n`;
  return readme.slice(readme.indexOf(begin) + begin.length, readme.indexOf(`======== end of ${name}`));
}

/** The indented commands of steps 2 and 3 for a dump; each exported variable gets its value. */
function commandsIn(readme: string, values: Record<string, string>): [string, string] {
  const dumps = readme.slice(readme.indexOf('HOW TO RESTORE A DUMP'));
  const [unpack, load] = ['2. ', '3. '].map((step) => {
    const lines = dumps
      .slice(dumps.indexOf(`\n${step}`))
      .split('\n')
      .slice(1);
    const begin = lines.findIndex((line) => line.startsWith('    '));
    const end = lines.findIndex((line, index) => index > begin && line === '');
    const commands = lines.slice(begin, end).join('\n');
    return commands.replace(/\b([A-Z_]+)=(\S+)/g, (whole, name) =>
      values[name] ? `${name}='${values[name]}'` : whole,
    );
  });
  return [unpack as string, load as string];
}
