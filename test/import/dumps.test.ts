import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPlannedFile } from '../../activities/planned.ts';
import { choose } from '../../client/import-choose.ts';
import { planDumpRestore } from '../../dump/restore/plan.ts';
import { startDumpRestore } from '../../dump/restore/start.ts';
import { factsOf } from '../../import/facts.ts';
import { type Inventory, type OldDump, takeInventory } from '../../import/inventory.ts';
import { planTake, type TakeDumpsOrder } from '../../import/plan.ts';
import { takeDumps } from '../../import/take.ts';
import { verifyDump } from '../../import/verify.ts';
import { readStream } from '../../parts/stream.ts';
import { listDumps } from '../../repository/dumps.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { withSpoolLock } from '../../wal/spool-lock.ts';
import { type Failed, pgproof } from '../client/cli.ts';
import { majors } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { keptTempDir, tempDir } from '../support/temp.ts';
import { passphrase, planADump, script, tierDump } from './old-scripts.ts';

/* The folders of two old scripts, made by their own commands, with what else lies in such folders after some years. */

let stage: Stage;
let old: string;
const opening = { passphrase, cipher: null };
const run = { signal: new AbortController().signal, progress: () => {} };
const odd = `we ird\n$(touch x)'"--dump.dump`;

beforeAll(async () => {
  stage = await openStage({ major: majors.at(-1) as string });
  old = keptTempDir('old');
  const { server } = stage;
  await server.sql('CREATE DATABASE community');
  await server.sql(
    "CREATE TABLE users AS SELECT n AS id, 'user ' || n AS name FROM generate_series(1, 500) n",
    [],
    'community',
  );
  const backups = join(old, 'backups');
  await tierDump(server, backups, {
    tier: 'full',
    time: '20260111_020000',
    database: 'community',
    cipher: 'aes-256-cbc',
  });
  await tierDump(server, backups, {
    tier: 'incremental',
    time: '20260112_030000',
    database: 'community',
    cipher: 'aes-128-cbc',
  });
  await tierDump(server, backups, { tier: 'remote', time: '20260113_030000', database: 'community' });
  await planADump(server, join(old, 'db-backups'), {
    database: 'community',
    time: '20251011T180000Z',
    host: 'db_host-1',
  });
  await script(server, 'pg_dump -Fc -d community -f "$FILE"', { FILE: join(old, odd) });
  await script(server, 'pg_dump -Fd -j2 -d community -f "$FILE"', { FILE: join(old, 'folder.dir') });
  await script(server, 'pg_dumpall > "$FILE"', { FILE: join(old, 'everything.sql') });
  symlinkSync('/etc/passwd', join(old, 'link.sql'));
  symlinkSync('/etc', join(old, 'elsewhere'));
  writeFileSync(join(old, 'notes.txt'), 'call Anna\n');
  writeFileSync(join(old, 'backups/full/full_20260110_020000.sql.gz.enc'), '');
  writeFileSync(
    join(old, 'db-backups/reports/failed.json'),
    JSON.stringify({
      database: 'community',
      startedAt: '2025-10-12T18:00:00Z',
      status: 'FAILED',
      errorMessage: 'disk full',
    }),
  );
});

afterAll(async () => {
  rmSync(old, { recursive: true, force: true });
  await stage.dispose();
});

const inventoryOf = (folder = old): Promise<Inventory> => takeInventory(folder, opening, run.signal);

async function dumpAt(end: string, folder = old): Promise<OldDump> {
  return (await inventoryOf(folder)).dumps.find(({ place }) => place.endsWith(end)) as OldDump;
}

/** A part of the old folder that a test may spoil. */
function copyOf(...places: string[]): string {
  const folder = tempDir();
  for (const place of places)
    cpSync(join(old, place), join(folder, basename(place)), { recursive: true, preserveTimestamps: true });
  return folder;
}

const order: TakeDumpsOrder = { opening, zone: null, tier: null, database: null, requestedBy: null, reason: null };

async function taken(): Promise<DumpRecord[]> {
  const { repository, keys, name } = stage.cluster;
  return (await listDumps(repository, keys, name)).flatMap((entry) => (entry.state === 'whole' ? [entry.record] : []));
}

describe('the inventory', () => {
  test('names every dump with what its name, its report and itself say', async () => {
    const { dumps } = await inventoryOf();
    const listed = dumps.map((dump) => {
      const { database, startedAt, tier, kind } = factsOf(dump, null);
      return [dump.place, kind, database, startedAt.toISOString().slice(0, 19), tier, dump.source?.form];
    });
    const today = expect.stringMatching(/^20\d\d-/);
    expect(listed).toEqual([
      ['backups/full/full_20260110_020000.sql.gz.enc', null, null, '2026-01-10T02:00:00', 'full', undefined],
      [
        'backups/full/full_20260111_020000.sql.gz.enc',
        'database',
        null,
        '2026-01-11T02:00:00',
        'full',
        'SQL, gzip, aes-256-cbc',
      ],
      [
        'backups/incremental/incremental_20260112_030000.sql.gz.enc',
        'database',
        null,
        '2026-01-12T03:00:00',
        'incremental',
        'SQL, gzip, aes-128-cbc',
      ],
      ['backups/remote/remote_20260113_030000.sql.gz', 'database', null, '2026-01-13T03:00:00', 'remote', 'SQL, gzip'],
      [
        'db-backups/data/community_20251011T180000Z_db_host-1.dump',
        'database',
        'community',
        '2025-10-11T18:00:00',
        null,
        "pg_dump's custom format",
      ],
      ['everything.sql', 'cluster', null, today, null, 'SQL'],
      ['folder.dir', 'database', 'community', today, null, "pg_dump's directory format"],
      [odd, 'database', 'community', today, null, "pg_dump's custom format"],
    ]);
  });

  test('joins checksum, globals and report to their dump', async () => {
    const dump = await dumpAt('db_host-1.dump');
    expect(dump).toMatchObject({ named: { host: 'db_host-1' }, report: { database: 'community', succeeded: true } });
    expect([dump.checksumFile, dump.globals].map((path) => basename(path as string))).toEqual([
      'community_20251011T180000Z_db_host-1.dump.sha256',
      'community_20251011T180000Z_db_host-1_globals.sql',
    ]);
  });

  test('follows no symlink, and says of everything else why it is passed over', async () => {
    const { strange, failed } = await inventoryOf();
    expect(strange).toEqual([
      { place: 'elsewhere', why: 'a symlink, not followed' },
      { place: 'link.sql', why: 'a symlink, not followed' },
      { place: 'notes.txt', why: 'not the name of a dump' },
    ]);
    const empty = (await dumpAt('full_20260110_020000.sql.gz.enc')).error;
    expect(empty).toMatchObject({ code: 'file-unknown', message: expect.stringMatching(/is empty, .*aes-256-gcm/) });
    expect(failed).toMatchObject([{ place: 'db-backups/reports/failed.json', report: { errorMessage: 'disk full' } }]);
  });

  test('takes a name for what the clock of its script showed, in the zone that is said', async () => {
    const dump = await dumpAt('full_20260111_020000.sql.gz.enc');
    expect(factsOf(dump, 'Asia/Shanghai').startedAt.toISOString()).toBe('2026-01-10T18:00:00.000Z');
    const early = { ...dump, modifiedAt: new Date('2026-01-10T18:05:00Z') };
    expect(factsOf(early, null)).toMatchObject({ isLaterThanFile: true });
    expect(() => planTake([early], { ...order, database: 'community' })).toThrow(/later than the file itself/);
    expect(factsOf(early, 'Asia/Shanghai')).toMatchObject({ isLaterThanFile: false });
  });
});

describe('a name on the command line', () => {
  test('means a dump below the folder, by place, file name or path from here; nothing outside', async () => {
    const inventory = await inventoryOf();
    const chosen = (...files: string[]) => choose(inventory, [], files).dumps.map(({ place }) => place);
    const remote = 'backups/remote/remote_20260113_030000.sql.gz';
    expect(chosen(remote)).toEqual([remote]);
    expect(chosen(basename(remote), join(old, remote))).toEqual([remote]);
    expect(chosen(odd)).toEqual([odd]);
    for (const outside of ['/etc/passwd', '../old', 'link.sql', 'elsewhere/passwd', 'absent.sql'])
      expect(() => chosen(outside)).toThrow(expect.objectContaining({ code: 'file-refused' }));
  });

  test('is not needed; without a passphrase that is needed, or with a wrong one, nothing is begun', async () => {
    const closed = async (key: string | null) => {
      const inventory = await takeInventory(old, { passphrase: key, cipher: null }, run.signal);
      try {
        return choose(inventory, [], []).dumps.length;
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(await closed(passphrase)).toBe(8);
    expect(await closed(null)).toBe('passphrase-missing');
    expect(await closed('another')).toBe('passphrase-wrong');
  });
});

describe('verify', () => {
  const verdict = async (dump: OldDump) => {
    const { whole, found, error } = await verifyDump(dump, opening, run);
    return whole ? [...(found?.verified ?? []), ...(found?.notes ?? [])] : error?.message;
  };

  test('holds each dump against all that there is', async () => {
    expect(await verdict(await dumpAt('db_host-1.dump'))).toEqual(['checksum', 'trailer', 'list']);
    expect(await verdict(await dumpAt('folder.dir'))).toEqual(['trailer', 'list']);
    for (const sql of ['everything.sql', 'full_20260111_020000.sql.gz.enc', 'remote_20260113_030000.sql.gz'])
      expect(await verdict(await dumpAt(sql))).toEqual(['trailer']);
  });

  test('names a file that differs from its checksum, and one whose checksum is of another file', async () => {
    const folder = copyOf(
      ...['.dump', '.dump.sha256'].map((end) => `db-backups/data/community_20251011T180000Z_db_host-1${end}`),
    );
    const file = join(folder, 'community_20251011T180000Z_db_host-1.dump');
    const bytes = readFileSync(file);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] as number) ^ 1;
    writeFileSync(file, bytes);
    expect(await verdict(await dumpAt('.dump', folder))).toBe(
      `'${file}': its SHA-256 is not what was written down when it was made`,
    );
    writeFileSync(`${file}.sha256`, `${'0'.repeat(64)}  other.dump\n`);
    expect(await verdict(await dumpAt('.dump', folder))).toBe(`'${file}.sha256' is not of this file`);
  });

  test('names globals that were cut beside a dump that is whole', async () => {
    const stem = 'db-backups/data/community_20251011T180000Z_db_host-1';
    const folder = copyOf(`${stem}.dump`, `${stem}_globals.sql`);
    const globals = join(folder, `${basename(stem)}_globals.sql`);
    truncateSync(globals, 400);
    expect(await verdict(await dumpAt('.dump', folder))).toMatch(`'${globals}': it is no whole dump`);
  });

  test('names a directory dump that lacks a file, or has one that was cut', async () => {
    const spoiled = (spoil: (data: string) => void) => {
      const folder = tempDir();
      cpSync(join(old, 'folder.dir'), join(folder, 'folder.dir'), { recursive: true });
      const listing = execFileSync('ls', [join(folder, 'folder.dir')], { encoding: 'utf8' }).split('\n');
      spoil(join(folder, 'folder.dir', listing.find((name) => /^\d+\.dat/.test(name)) as string));
      return dumpAt('folder.dir', folder);
    };
    expect(await verdict(await spoiled((data) => rmSync(data)))).toMatch('1 files are missing');
    expect(await verdict(await spoiled((data) => truncateSync(data, 100)))).toMatch('is cut off');
    expect(await verdict(await spoiled((data) => writeFileSync(`${data}x`, '')))).toMatch(
      'is no file of a directory dump',
    );
  });
});

describe('take', () => {
  const state = (folder: string): string =>
    execFileSync(
      'sh',
      ['-c', 'cd "$D" && find . -printf "%p %m %s %T@ %l\\n" | sort && find . -type f -exec sha256sum {} +'],
      {
        env: { D: folder, PATH: process.env.PATH },
        encoding: 'utf8',
      },
    );

  test('wants to know which database a file is of that does not say it, before anything is written', async () => {
    const { dumps } = await inventoryOf();
    expect(() => planTake(dumps, order)).toThrow(/nothing says which database it is of, as of 2 more/);
    expect(() => planTake(dumps, { ...order, database: 'community', tier: 'Not A Name' })).toThrow(/tier/);
    expect(await taken()).toEqual([]);
  });

  test('makes them dumps of the cluster, changes nothing in the folder, and takes nothing twice', async () => {
    const before = state(old);
    const { dumps } = await inventoryOf();
    const planned = planTake(dumps, { ...order, database: 'community' });
    const folder = join(stage.cluster.paths.state, 'import');
    const alone: boolean[] = [];
    const isLocked = () =>
      void alone.push(spawnSync('flock', ['--nonblock', join(folder, 'lock'), 'true']).status === 1);
    const first = await takeDumps(stage.cluster, planned, order, run, isLocked);
    expect(first.map(({ outcome }) => outcome)).toEqual(['refused', ...Array(7).fill('taken')]);
    expect(alone).toEqual(Array(8).fill(true));
    await withSpoolLock(folder, async () => {
      await expect(takeDumps(stage.cluster, planned, order, run)).rejects.toMatchObject({ code: 'cluster-busy' });
    });
    const again = await takeDumps(stage.cluster, planned, order, run);
    expect(again.map(({ outcome, id }) => [outcome, id])).toEqual(
      first.map(({ id }) => [id === null ? 'refused' : 'there', id]),
    );
    expect(state(old)).toBe(before);

    const records = await taken();
    expect(
      records.map(({ importedFrom, database, tier, startedAt }) => [
        importedFrom,
        database,
        tier,
        startedAt.slice(0, 10),
      ]),
    ).toEqual([
      ['community_20251011T180000Z_db_host-1.dump', 'community', 'imported', '2025-10-11'],
      ['full_20260111_020000.sql.gz.enc', 'community', 'full', '2026-01-11'],
      ['incremental_20260112_030000.sql.gz.enc', 'community', 'incremental', '2026-01-12'],
      ['remote_20260113_030000.sql.gz', 'community', 'remote', '2026-01-13'],
      ...records
        .slice(4)
        .map((record) => [record.importedFrom, record.database, 'imported', record.startedAt.slice(0, 10)]),
    ]);
    expect(records.every(({ signature, codec }) => signature !== null && codec.cipher === 'aes-256-gcm')).toBe(true);
    expect(records[0]).toMatchObject({
      format: 'custom',
      globals: { plainBytes: expect.any(Number) },
      verified: ['checksum', 'trailer', 'list'],
    });
    expect(records[1]).toMatchObject({
      format: 'plain',
      globals: null,
      owner: false,
      server: { major: Number(stage.server.major) },
    });
    expect(existsSync(join(stage.cluster.paths.dumps, records[0]?.id as string))).toBe(false);

    const stored = createHash('sha256');
    await readStream(stage.cluster, records[1] as DumpRecord, (records[1] as DumpRecord).dump, run, async (chunk) => {
      stored.update(chunk);
    });
    const plain = execFileSync(
      'sh',
      ['-c', 'openssl enc -d -aes-256-cbc -pbkdf2 -pass env:SECRET -in "$F" | gunzip | sha256sum'],
      {
        env: {
          PATH: process.env.PATH,
          SECRET: passphrase,
          F: join(old, 'backups/full/full_20260111_020000.sql.gz.enc'),
        },
        encoding: 'utf8',
      },
    );
    expect(stored.digest('hex')).toBe(plain.slice(0, 64));
  });

  test('refuses one that is not whole, with its report, and takes the others; nothing of it is listed', async () => {
    const folder = copyOf('backups/remote/remote_20260113_030000.sql.gz', 'everything.sql');
    truncateSync(join(folder, 'everything.sql'), 3000);
    appendFileSync(join(folder, 'everything.sql'), '\n');
    const there = (await taken()).length;
    const { dumps } = await inventoryOf(folder);
    const planned = planTake(dumps, { ...order, database: 'community', tier: 'weekly' });
    const done = await takeDumps(stage.cluster, planned, order, run);
    expect(done.map(({ place, outcome, error }) => [place, outcome, error?.code])).toEqual([
      ['everything.sql', 'refused', 'object-damaged'],
      ['remote_20260113_030000.sql.gz', 'there', undefined],
    ]);
    expect((await taken()).length).toBe(there);
    expect(done[0]?.error?.facts).toMatchObject({ path: join(folder, 'everything.sql') });
  });

  test('that is interrupted leaves nothing in the repository', async () => {
    const folder = copyOf('folder.dir');
    const [dump] = (await inventoryOf(folder)).dumps as [OldDump];
    const planned = planTake([{ ...dump, name: 'another name' }], order);
    const parts = () =>
      readdirSync(join(stage.folder, 'repository/shop/dumps')).filter((name) => !name.endsWith('.json'));
    const before = parts();
    const interrupt = new AbortController();
    const interrupted = { signal: interrupt.signal, progress: () => interrupt.abort() };
    await expect(takeDumps(stage.cluster, planned, order, interrupted)).rejects.toMatchObject({ code: 'cancelled' });
    expect(parts()).toEqual(before);
    expect(readdirSync(stage.cluster.paths.dumps).filter((name) => name.includes('logical'))).toEqual([]);
  });

  test('keeps two files of one name apart when they hold something else', async () => {
    const folder = tempDir();
    const file = join(folder, 'remote_20260113_030000.sql.gz');
    await stage.server.sql('CREATE TABLE late (n int)', [], 'community');
    await script(stage.server, 'pg_dump -d community | gzip -9 > "$FILE"', { FILE: file });
    utimesSync(file, new Date(), new Date());
    const planned = planTake((await inventoryOf(folder)).dumps, { ...order, database: 'community' });
    const [done] = await takeDumps(stage.cluster, planned, order, run);
    expect(done?.outcome).toBe('taken');
  });
});

describe('a restore', () => {
  type From = Parameters<typeof planDumpRestore>[2]['dump'];

  /** @returns the rows of the restored database. */
  async function restored(dump: From): Promise<number> {
    const { cluster, server } = stage;
    const to = { name: 'shop', config: cluster.config };
    const request = { dump, database: 'again', mode: 'new', options: {}, user: null } as const;
    const plan = await planDumpRestore(cluster, to, request, run);
    await startDumpRestore(cluster, plan, to, run, { openFile: openPlannedFile });
    const [row] = await server.sql<{ rows: number }>('SELECT count(*)::int AS rows FROM users', [], 'again');
    await server.sql('DROP DATABASE again WITH (FORCE)');
    return row?.rows as number;
  }

  test('of an old file, or of what was taken over, brings its rows back', async () => {
    process.env.OLD_PASSPHRASE = passphrase;
    for (const end of ['full_20260111_020000.sql.gz.enc', 'folder.dir', odd]) {
      const { path } = await dumpAt(end);
      const file = { path, passphrase: { env: 'OLD_PASSPHRASE' }, cipher: null };
      expect([end, await restored({ file, source: await openPlannedFile(file) })]).toEqual([end, 500]);
    }
    delete process.env.OLD_PASSPHRASE;
    const records = await taken();
    for (const format of ['custom', 'directory'])
      expect(await restored({ id: records.find((record) => record.format === format)?.id as string })).toBe(500);
  });
});

describe('pgproof import', () => {
  const secret = { OLD_PASSPHRASE: passphrase };
  const command = async (...args: string[]) => {
    const config = ['--config', stage.configFile, '--host', 'db-7', '--passphrase-env', 'OLD_PASSPHRASE'];
    const said = await pgproof(['import', ...args, ...config], { env: { ...secret, XDG_STATE_HOME: stage.folder } });
    expect(JSON.stringify(said)).not.toContain(passphrase.slice(0, 12));
    return said;
  };

  test('verify answers 3 and names the one that is none, and take leaves it out', async () => {
    const verified = await command('verify', old);
    const verdicts = (verified.json as { dumps: { file: string; whole: boolean }[] }).dumps;
    expect(verdicts.filter(({ whole }) => !whole).map(({ file }) => file)).toEqual([
      'backups/full/full_20260110_020000.sql.gz.enc',
    ]);
    expect(verified.code).toBe(3);
    const [file] = ['backups/full/full_20260111_020000.sql.gz.enc'];
    const dry = await command('take', old, 'shop', file, '--database', 'other', '--tier', 'weekly', '--dry-run');
    expect(dry).toMatchObject({
      code: 0,
      json: { dryRun: true, dumps: [{ file, database: 'other', tier: 'weekly', outcome: null, id: null }] },
    });
    const again = await command('take', old, 'shop', file, '--database', 'community');
    expect(again).toMatchObject({ code: 0, json: { dryRun: false, dumps: [{ file, outcome: 'there' }] } });
  });

  test('needs no configuration to list, and says so of a cipher that no script can have used', async () => {
    const { code, json } = await pgproof(['import', 'list', old, '--zone', 'Asia/Shanghai'], { cwd: old });
    expect({ code, json }).toMatchObject({
      code: 0,
      json: { dumps: { length: 8 }, bases: [], strange: { length: 3 } },
    });
    const refusal = async (...args: string[]) => {
      const said = await pgproof(['import', 'list', old, ...args]);
      return [said.code, (said.json as Failed).error.message];
    };
    expect(await refusal('--cipher', 'aes-256-gcm')).toEqual([2, expect.stringMatching(/AEAD ciphers not supported/)]);
    expect(await refusal('--zone', 'Mars/Olympus')).toEqual([2, expect.stringMatching(/Mars/)]);
  });
});
