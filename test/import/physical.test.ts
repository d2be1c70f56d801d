import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ManifestFile, readManifest, type WalRange } from '../../backup/manifest.ts';
import { parseTarget } from '../../core/target.ts';
import { importPlace } from '../../host/import.ts';
import type { Opening } from '../../import/peel.ts';
import { readWhole } from '../../import/physical/checked.ts';
import { findBase } from '../../import/physical/layout.ts';
import { listBases } from '../../import/physical/list.ts';
import { openBase, type Place, rangeIn } from '../../import/physical/opened.ts';
import { makeManifest } from '../../import/physical/own-manifest.ts';
import { planOld } from '../../import/physical/plan.ts';
import { restoreBase } from '../../import/physical/restore.ts';
import { readPlain } from '../../import/physical/segments.ts';
import { takeBases } from '../../import/physical/take.ts';
import { verifyBase } from '../../import/physical/verify.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { requireEra } from '../../repository/eras.ts';
import { planRestore } from '../../restore/plan.ts';
import { startRestore } from '../../restore/start.ts';
import { ask } from '../restore/support.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { type OldScript, oldScript, passphrase } from './old-physical.ts';

const never = new AbortController().signal;
const secret: Opening = { passphrase, cipher: null };
const none: Opening = { passphrase: null, cipher: null };

describe.each(alternate(0))('what the old physical script left, on PostgreSQL %s', (major) => {
  let stage: Stage;
  let script: OldScript;
  let place: Place;
  /** With a manifest, in gzip. */
  let first: string;
  /** Without one, in gzip and encrypted. */
  let second: string;
  let afterTest1: string;

  beforeAll(async () => {
    stage = await openStage({ major });
    script = await oldScript(stage);
    place = await importPlace(stage.host);
    const { sql } = stage.server;
    await sql('CREATE TABLE users (username text)');
    first = await script.base('20260114_100000');
    await sql(`INSERT INTO users VALUES ('test1')`);
    afterTest1 = (await sql<{ now: string }>('SELECT clock_timestamp()::text AS now'))[0]?.now as string;
    await script.switchWal();
    await sql('CREATE TABLE behind (id int)'); // the commit that a restore to test1 stops before
    await sql(`CREATE TABLESPACE fast LOCATION '${tablespace()}'`);
    await sql('CREATE TABLE hot TABLESPACE fast AS SELECT 42 AS id');
    second = await script.base('20260114_110000');
    await sql(`INSERT INTO users VALUES ('test2')`);
    await sql(`SELECT pg_create_restore_point('after test2')`);
    await script.switchWal();
    await sql(`INSERT INTO users VALUES ('test3')`);
    await script.switchWal();
    await script.sh(`rm base/${second}/backup_manifest`);
    for (const name of ['base.tar.gz', 'pg_wal.tar.gz']) await script.encrypt(`base/${second}/${name}`, 'aes-128-cbc');
    // As the script does it with what was archived: plain, compressed, encrypted, both.
    const [, two, three, four] = script.wal().filter((name) => /^[0-9A-F]{24}$/.test(name));
    await script.sh(`gzip -9 wal/${two} wal/${four}`);
    await script.encrypt(`wal/${three}`);
    await script.encrypt(`wal/${four}.gz`);
  });

  afterAll(() => stage?.dispose());

  function tablespace(): string {
    const path = join(stage.folder, 'fast');
    mkdirSync(path, { mode: 0o700 });
    return path;
  }

  const users = async (dataDir: string): Promise<string[]> =>
    (await ask<{ username: string }>(stage.server.bin, dataDir, 'SELECT username FROM users ORDER BY 1')).map(
      ({ username }) => username,
    );
  const order = (base: string, to: string, opening: Opening = secret) => ({
    dir: script.dir,
    base,
    target: parseTarget(to),
    into: join(tempDir(), 'data'),
    place,
    opening,
  });

  test('is listed: bases with where they begin, and WAL, whatever form each file has', async () => {
    const { bases, wal } = await listBases(script.dir, secret, never);
    expect(bases).toMatchObject([
      { name: first, archives: ['base', 'pg_wal'], hasManifest: true, timeline: 1, error: null },
      {
        name: second,
        archives: [expect.stringMatching(/^\d+$/), 'base', 'pg_wal'],
        hasManifest: false,
        timeline: 1,
        error: null,
      },
    ]);
    expect(wal.segments).toBeGreaterThanOrEqual(4);
    expect(wal.others).toEqual([]);
  });

  test('is listed without the passphrase, too: what cannot be read says why', async () => {
    const { bases } = await listBases(script.dir, none, never);
    expect(bases.map(({ error }) => error?.code ?? null)).toEqual([null, 'passphrase-missing']);
  });

  test('is whole: every file against the manifest, every segment, and how far a restore can go', async () => {
    const verified = await verifyBase({ dir: script.dir, base: first, place, opening: secret }, quietRun());
    expect(verified).toMatchObject({ whole: true, findings: [], againstManifest: true, major: Number(major) });
    expect(verified.restorableTo).not.toBeNull();
  });

  test('PITR to a time: exactly test1 is there, as in the script’s own drill', async () => {
    const wanted = order(first, `${afterTest1}`);
    const result = await restoreBase(wanted, quietRun());
    expect(await users(result.dataDir)).toEqual(['test1']);
  });

  test('interrupted and asked for again it goes on: the latest, encrypted, without a manifest, with a tablespace', async () => {
    const wanted = order(second, 'latest');
    const interrupt = new AbortController();
    const progress = ({ phase }: { phase: string }) => phase === 'recover' && interrupt.abort();
    await expect(restoreBase(wanted, { signal: interrupt.signal, progress })).rejects.toThrow();
    const before = readdirSync(join(stage.folder, 'fast'), { recursive: true });
    const result = await restoreBase(wanted, quietRun());
    expect(result.phases.map(({ name }) => name)).not.toContain('fetch');
    expect(result.notes.join(' ')).toContain('has no backup_manifest');
    const all = `SELECT username FROM users UNION ALL SELECT id::text FROM hot ORDER BY 1`;
    expect(await ask(stage.server.bin, result.dataDir, all)).toEqual(
      ['42', 'test1', 'test2', 'test3'].map((username) => ({ username })),
    );
    expect(readdirSync(join(stage.folder, 'fast'), { recursive: true })).toEqual(before);
  }, 180_000);

  test('plans to a restore point by name, and refuses what this base cannot reach, with the nearest that works', async () => {
    const scratch = tempDir();
    const opened = await openBase(script.dir, second, { place, opening: secret }, scratch, quietRun());
    const planned = (to: string) => planOld(opened, parseTarget(to), join(scratch, 'data'), quietRun());
    expect((await planned('name:after test2')).recovery).toMatchObject({ setting: 'recovery_target_name' });
    await expect(planned(new Date(Date.now() - 3_600_000).toISOString())).rejects.toMatchObject({
      code: 'target-unreachable',
      facts: { nearestAfter: 'immediate' },
    });
    await expect(planned('lsn:FF/0')).rejects.toMatchObject({ code: 'target-unreachable' });
    await expect(planned('name:never')).rejects.toMatchObject({ code: 'target-unreachable' });
  });

  test('a wrong passphrase, a folder that is not empty and an unknown base are refused, and nothing is made', async () => {
    const wrong = order(second, 'latest', { passphrase: 'wrong', cipher: null });
    await expect(restoreBase(wrong, quietRun())).rejects.toMatchObject({ code: 'passphrase-wrong' });
    expect(existsSync(wrong.into)).toBe(false);
    const full = order(first, 'latest');
    mkdirSync(full.into);
    writeFileSync(join(full.into, 'mine'), '');
    await expect(restoreBase(full, quietRun())).rejects.toMatchObject({ code: 'target-folder' });
    await expect(restoreBase(order('base_20200101_000000', 'latest'), quietRun())).rejects.toMatchObject({
      code: 'backup-missing',
    });
    expect(readdirSync(full.into)).toEqual(['mine']);
    expect(readdirSync(place.paths.fetch)).toEqual([]);
  });

  test('what is damaged is named: a changed byte, a missing segment, one under another’s name; and no server starts on it', async () => {
    const dir = tempDir();
    await script.sh(`cp -r base wal '${dir}'`);
    const segments = readdirSync(join(dir, 'wal')).filter((name) => /^[0-9A-F]{24}(\.gz)?(\.enc)?$/.test(name));
    const gone = segments.at(-2) as string;
    rmSync(join(dir, 'wal', gone));
    await script.sh(
      `cd '${dir}/wal' && cp "$(ls | grep -E '^[0-9A-F]{24}$' | tail -1)" 000000010000000000000077
       cd '${dir}/base/${first}' && gunzip base.tar.gz && printf x | dd of=base.tar bs=1 seek=200000 conv=notrunc 2>/dev/null`,
    );
    const verified = await verifyBase({ dir, base: first, place, opening: secret }, quietRun());
    expect(verified.whole).toBe(false);
    const findings = verified.findings.join('\n');
    expect(findings).toMatch(/other content|checksum/);
    expect(findings).toContain(`segment ${gone.slice(0, 24)} is missing`);
    expect(findings).toContain('which is not what its name says');
    await expect(restoreBase({ ...order(first, 'latest'), dir }, quietRun())).rejects.toMatchObject({
      code: 'target-unreachable',
      facts: { nearestBefore: `lsn:${verified.restorableTo}` },
    });
    await expect(restoreBase({ ...order(first, 'immediate'), dir }, quietRun())).rejects.toMatchObject({
      code: expect.stringMatching(/restore-unverified|tar-invalid/),
    });
  }, 180_000);

  describe('taken over into the repository', () => {
    const take = () =>
      takeBases(
        stage.cluster,
        { dir: script.dir, bases: null, place, opening: secret, requestedBy: 'ann', reason: null },
        quietRun(),
      );

    test('WAL becomes old WAL of the era, each base a backup; one without a manifest gets one, and says that nothing proves it', async () => {
      const { wal, taken, refused } = await take();
      expect(wal.refused).toEqual([]);
      expect(wal.stored).toBeGreaterThanOrEqual(4);
      const backupId = expect.stringContaining('-full-');
      expect(taken).toEqual([first, second].map((base) => ({ base, backupId, existed: false })));
      expect(refused).toEqual([]);
      const { repository, keys, name } = stage.cluster;
      const [proven, unproven] = await listBackups(repository, keys, name);
      expect(proven).toMatchObject({ record: { verified: { files: expect.any(Number) } } });
      expect(unproven).toMatchObject({
        record: {
          verified: { files: 0, bytes: 0 },
          notes: [expect.anything(), expect.stringMatching(/held against nothing/)],
        },
      });
    });

    test('again takes nothing twice', async () => {
      const { wal, taken } = await take();
      expect({ stored: wal.stored, refused: wal.refused }).toEqual({ stored: 0, refused: [] });
      expect(taken).toMatchObject([
        { base: first, existed: true },
        { base: second, existed: true },
      ]);
      expect(await listBackups(stage.cluster.repository, stage.cluster.keys, 'shop')).toHaveLength(2);
    });

    test('the manifest that one gets lists what PostgreSQL itself would have listed', async () => {
      const base = await findBase(script.dir, first);
      const theirs = await readPlain(base.manifest as string, secret, quietRun().signal);
      const { passed } = await readWhole(base, null, secret, quietRun());
      const era = await requireEra(stage.cluster.repository, 'shop');
      const ours = makeManifest(passed, rangeIn(theirs) as WalRange, era);
      const read = (manifest: Buffer) => {
        const files: ManifestFile[] = [];
        const rest = readManifest(manifest, (file) => files.push(file));
        return { ...rest, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) };
      };
      expect(read(ours)).toEqual(read(theirs));
    });

    test('and is planned from there to the same point; `npm run test:full` carries it out', async () => {
      const into = join(tempDir(), 'data');
      const plan = await planRestore(stage.cluster, { target: parseTarget(afterTest1), into }, quietRun());
      expect(plan.recovery.setting).toBe('recovery_target_time');
      if (!process.env.PGPROOF_TEST_FULL) return;
      await startRestore(stage.cluster, plan.id, quietRun());
      expect(await users(into)).toEqual(['test1']);
    });
  });

  test.each(process.env.PGPROOF_TEST_FULL ? ['full'] : [])(
    'the latest lies on the newest timeline, an older one is followed on wish',
    async () => {
      const { server } = stage;
      await server.stop();
      writeFileSync(join(server.dataDir, 'standby.signal'), '');
      await server.start();
      await server.sql('SELECT pg_promote(true, 60)');
      await server.sql(`INSERT INTO users VALUES ('test4')`);
      await script.switchWal();
      const latest = { ...order(second, 'latest'), base: second };
      expect(await users((await restoreBase(latest, quietRun())).dataDir)).toContain('test4');
      const older = { ...order(second, 'latest'), target: parseTarget('latest', { timeline: 1 }) };
      expect(await users((await restoreBase(older, quietRun())).dataDir)).not.toContain('test4');
    },
  );
});
