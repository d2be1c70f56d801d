import { fork } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { parseTarget } from '../../core/target.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { readControlData, runningServer } from '../../postgres/control.ts';
import { generateKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { noKeys } from '../../repository/keys.ts';
import { prepareFolder } from '../../restore/clean.ts';
import { configureRecovery } from '../../restore/configure.ts';
import { fetchBackup } from '../../restore/fetch.ts';
import { configurationNotes, handOver } from '../../restore/handover.ts';
import { planRestore } from '../../restore/plan.ts';
import { recover } from '../../restore/recover.ts';
import { startRestore } from '../../restore/start.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import type { ObjectStore } from '../../storage/store.ts';
import { shipOnce } from '../../wal/shipper.ts';
import { alternate } from '../support/postgres.ts';
import { withStore as onStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { storeWith } from '../support/store-with.ts';
import { tempDir } from '../support/temp.ts';
import { ask, openRestoreStage, type RestoreStage, withServer } from './support.ts';

describe.each(alternate(1))('on PostgreSQL %s', (major) => {
  let stage: RestoreStage;
  let beforeBackup: string;
  let backupEnd: string;
  const segments = 24;

  beforeAll(async () => {
    stage = await openRestoreStage({ major, server: { initdbArgs: ['--wal-segsize=1'] } });
    const { server } = stage;
    await server.sql('CREATE TABLE orders (n int)');
    beforeBackup = await stage.now();
    const record = await stage.backup();
    backupEnd = record.stoppedAt;
    for (let n = 1; n <= segments; n += 1) {
      await server.sql('INSERT INTO orders VALUES ($1)', [n]);
      await server.sql('SELECT pg_switch_wal()');
    }
    await stage.archive();
  });
  afterAll(() => stage?.dispose());

  const count = async (dataDir: string) =>
    (await ask<{ rows: number }>(stage.server.bin, dataDir, 'SELECT count(*)::int AS rows FROM orders'))[0]?.rows;
  const refusal = async (work: Promise<unknown>): Promise<PgproofError> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof PgproofError) return error;
    throw error ?? new Error('it was not refused');
  };
  const withStore = (wrap: (store: ObjectStore) => ObjectStore): ProtectedCluster => {
    const { repository } = stage.cluster;
    return onStore(stage.cluster, wrap(repository.store));
  };

  describe('scenario 26: the target folder', () => {
    test('that is not empty is refused, and nothing in it is touched', async () => {
      const into = tempDir();
      writeFileSync(join(into, 'precious'), 'mine');
      const error = await refusal(stage.plan('latest', { into }));
      expect(error).toMatchObject({ code: 'target-folder', exitCode: 2 });
      expect(error.message).toContain(`nothing can be restored into '${into}': it is not empty (precious)`);
      expect(readdirSync(into)).toEqual(['precious']);
    });

    test("that is the running primary's is refused with its process", async () => {
      const into = stage.server.dataDir;
      const before = readdirSync(into).sort();
      const error = await refusal(stage.plan('latest', { into }));
      expect(error).toMatchObject({ code: 'cluster-running', facts: { path: into, pid: await runningServer(into) } });
      expect(readdirSync(into).sort()).toEqual(before);
    });

    test.each<[string, (dir: string) => string]>([
      ['is inside a data directory', () => join(stage.server.dataDir, 'base', 'copy')],
      ['is a file', (dir) => made(join(dir, 'file'), (path) => writeFileSync(path, ''))],
      ['is not absolute', () => 'data'],
      ['is the root folder', () => '/'],
      ['cannot be created by this user', () => '/proc/pgproof'],
      ['is inside the repository', () => join(stage.folder, 'repository', 'data')],
      [
        'leads there by a symbolic link',
        (dir) =>
          join(
            made(join(dir, 'link'), (path) => symlinkSync(stage.server.dataDir, path)),
            'sub',
          ),
      ],
    ])('that %s is refused', async (_, into) => {
      expect(await refusal(stage.plan('latest', { into: into(tempDir()) }))).toMatchObject({ code: 'target-folder' });
    });

    test('that was filled after the plan, or belongs to another plan, is refused at the start too', async () => {
      const into = join(tempDir(), 'data');
      const plan = await stage.plan('latest', { into });
      mkdirSync(into);
      writeFileSync(join(into, 'precious'), 'mine');
      expect(await refusal(startRestore(stage.cluster, plan.id, quietRun()))).toMatchObject({ code: 'target-folder' });
      expect(readdirSync(into)).toEqual(['precious']);

      rmSync(join(into, 'precious'));
      const other = await stage.plan('latest', { into });
      await refusal(
        startRestore(
          withStore((store) => faulty(store, [{ on: 'read', key: /\/base\//, fault: { kind: 'fail' } }])),
          other.id,
          quietRun(),
        ),
      );
      const left = readdirSync(into).sort();
      const error = await refusal(startRestore(stage.cluster, plan.id, quietRun()));
      expect(error).toMatchObject({ code: 'target-folder', facts: { planId: other.id } });
      expect(readdirSync(into).sort()).toEqual(left);
    });
  });

  describe('scenario 27: the store goes away in the middle of recovery', () => {
    const patience = { patienceSeconds: 1, attemptSeconds: 1 };

    test.each<[string, (root: string) => { wrap(store: ObjectStore): ObjectStore; mend(): void }]>([
      [
        'for real, when its folder is not there any more',
        (root) => ({
          wrap: (store) =>
            onRead(store, 20, () => {
              if (existsSync(root)) renameSync(root, `${root}.away`);
            }),
          mend: () => renameSync(`${root}.away`, root),
        }),
      ],
      [
        'without a word, hanging',
        () => {
          const plan: FaultPlan = [];
          return {
            wrap: (store) => onRead(faulty(store, plan), 20, () => plan.push({ on: 'read', fault: { kind: 'hang' } })),
            mend: () => plan.splice(0),
          };
        },
      ],
    ])('%s: the server does not promote; the same restore, started again, finishes', async (_, away) => {
      const { wrap, mend } = away(stage.cluster.repository.location);
      const plan = await stage.plan('latest');
      const error = await refusal(startRestore(withStore(wrap), plan.id, quietRun(), patience)).finally(mend);

      expect(error.permanent).toBe(false);
      expect(error.message).toContain('did not promote');
      expect(await runningServer(plan.into)).toBeNull();
      expect(existsSync(join(plan.into, 'recovery.signal'))).toBe(true);
      const tools = { bin: stage.server.bin, major: Number(major) };
      expect(await readControlData(tools, plan.into)).toMatchObject({ timeline: 1, state: 'in archive recovery' });

      const result = await startRestore(stage.cluster, plan.id, quietRun());
      expect(result.phases.map(({ name }) => name)).toEqual(['prepare', 'recover', 'hand over']);
      expect(await count(plan.into)).toBe(segments);
    });

    test('or gives other bytes: the server does not promote, and the segment is named', async () => {
      const plan = await stage.plan('latest');
      const victim = plan.inventory.segments[12];
      const rules: FaultPlan = [{ on: 'read', key: new RegExp(`${victim?.name}`), fault: { kind: 'flip', at: 100 } }];
      const error = await refusal(
        startRestore(
          withStore((store) => faulty(store, rules)),
          plan.id,
          quietRun(),
        ),
      );
      expect(error).toMatchObject({ code: 'object-damaged' });
      expect(error.message).toContain('did not promote');
      expect(existsSync(join(plan.into, 'recovery.signal'))).toBe(true);
    });
  });

  test('a restore that is killed in the middle of recovery leaves no server; started again, it finishes', async () => {
    const plan = await stage.plan('latest');
    const child = fork(join(import.meta.dirname, 'hanging-restore.ts'), [stage.configFile, plan.id]);
    await new Promise((resolve) => child.once('message', resolve));
    const pid = await runningServer(plan.into);
    expect(pid).not.toBeNull();
    child.kill('SIGKILL');
    while ((await runningServer(plan.into)) !== null) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(existsSync(join(plan.into, 'recovery.signal'))).toBe(true);

    const result = await startRestore(stage.cluster, plan.id, quietRun());
    expect(result.phases.map(({ name }) => name)).toEqual(['prepare', 'recover', 'hand over']);
    expect(await count(plan.into)).toBe(segments);
    expect(await startRestore(stage.cluster, plan.id, quietRun())).toEqual({
      ...result,
      notes: [...result.notes, expect.stringContaining('carried out already')],
    });
  });

  describe('scenario 28: the key', () => {
    const planWith = (keys: ProtectedCluster['keys'], into: string) =>
      planRestore(
        { ...withStore(countingReads), keys, walKeys: keys },
        { target: parseTarget('latest'), into },
        quietRun(),
      );
    let baseReads = 0;
    const countingReads = (store: ObjectStore): ObjectStore =>
      onEveryRead(store, /\/(base|wal)\//, () => (baseReads += 1));

    test('that is missing is named before anything is downloaded', async () => {
      const error = await refusal(planWith(noKeys, join(tempDir(), 'data')));
      expect(error).toMatchObject({ code: 'key-missing', exitCode: 2 });
      expect(error.message).toContain(stage.cluster.keys.current?.id);
      expect(baseReads).toBe(0);
    });

    test('that is another one is named before anything is downloaded', async () => {
      const { path } = await generateKeyFile(join(tempDir(), 'other.key'));
      const error = await refusal(planWith(await readKeyFile(path), join(tempDir(), 'data')));
      expect(['key-missing', 'key-wrong']).toContain(error.code);
      expect(error.message).toContain(stage.cluster.keys.current?.id);
      expect(baseReads).toBe(0);
    });
  });

  describe('scenario 32: a target that cannot be reached is refused, with the nearest that work', () => {
    test('before the end of the first backup', async () => {
      const error = await refusal(stage.plan(beforeBackup));
      expect(error).toMatchObject({ code: 'target-unreachable', exitCode: 3, facts: { nearestAfter: backupEnd } });
      expect(error.hint).toBe(`The nearest target that works: ${backupEnd}.`);
      await stage.plan(backupEnd);
    });

    test('behind the newest WAL', async () => {
      const error = await refusal(stage.plan('lsn:7F/0'));
      expect(error).toMatchObject({ code: 'target-unreachable' });
      await stage.plan(error.facts.nearestBefore as string);
    });

    test('in the future', async () => {
      expect(await refusal(stage.plan('2099-01-01 00:00:00Z'))).toMatchObject({
        code: 'target-unreachable',
        facts: { nearestBefore: 'latest' },
      });
    });

    test('on a timeline that is not in the archive', async () => {
      const error = await refusal(stage.plan('latest', { timeline: 7 }));
      expect(error).toMatchObject({ code: 'target-unreachable', facts: { timeline: 7, known: [1] } });
    });

    test.each(['xid:4000000000', 'name:never made'])('%s, which the archive does not hold', async (to) => {
      expect(await refusal(stage.plan(to))).toMatchObject({ code: 'target-unreachable' });
    });

    test('but a time after the last commit becomes the last record, and the plan says so', async () => {
      const plan = await stage.plan(await stage.now());
      expect(plan.recovery).toMatchObject({ setting: 'recovery_target_lsn', timeline: 1 });
      expect(plan.notes[0]).toMatch(/is later than everything in the archive .* so it became the last archived record/);
    });

    test('in a gap', async () => {
      const plan = await stage.plan('latest');
      const victim = plan.inventory.segments[10]?.name as string;
      const rules: FaultPlan = [{ on: 'list', key: new RegExp(victim), fault: { kind: 'forget' } }];
      const cluster = withStore((store) => faulty(store, rules));
      const planTo = (to: string) =>
        planRestore(cluster, { target: parseTarget(to), into: join(tempDir(), 'data') }, quietRun());
      for (const to of ['latest', `lsn:${plan.expected.lsn}`, await stage.now()]) {
        const error = await refusal(planTo(to));
        expect(error).toMatchObject({ code: 'target-unreachable', facts: { segment: victim } });
        await planTo(error.facts.nearestBefore as string);
      }
    });
  });

  test("a backup of Debian's layout, without configuration files, recovers and gets harmless ones", async () => {
    const { cluster } = stage;
    const plan = await stage.plan('immediate');
    await prepareFolder(cluster, plan);
    await fetchBackup(cluster, plan, quietRun());
    for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']) rmSync(join(plan.into, name));
    await configureRecovery(plan, 'restore');
    const recovery = await recover(cluster, plan, 'restore', quietRun());
    await recovery.stop('fast');
    await handOver(plan.into);
    expect(await configurationNotes(plan)).toEqual([expect.stringMatching(/^The backup holds no postgresql.conf/)]);
    expect(readFileSync(join(plan.into, 'pg_hba.conf'), 'utf8')).toContain('local all all peer');
    expect(await readControlData({ bin: stage.server.bin, major: Number(major) }, plan.into)).toMatchObject({
      state: 'shut down',
      timeline: 2,
    });
  });

  test('scenario 22: what a restored copy archives does not get into the repository', async () => {
    const { plan, result } = await stage.restore('latest');
    expect(readFileSync(join(plan.into, 'postgresql.auto.conf'), 'utf8')).toContain("archive_command = '/bin/false'");
    expect(statSync(plan.into).mode & 0o777).toBe(0o700);
    const { spool } = stage.cluster.paths;
    await withServer(
      stage.server.bin,
      plan.into,
      tempDir('s'),
      async (client) => {
        for (const statement of result.openingStatement.split(/(?<=;)\s/)) await client.query(statement);
        await client.query('INSERT INTO orders VALUES (1000)');
        await client.query('SELECT pg_switch_wal()');
        while (!archivedNames(spool).some((name) => name.startsWith('00000002')))
          await new Promise((resolve) => setTimeout(resolve, 20));
      },
      [],
    );
    const pass = await shipOnce(stage.cluster, { signal: new AbortController().signal });
    expect(pass.shipped.filter((name) => name.startsWith('00000002'))).toEqual([]);
    const stored = readdirSync(stage.cluster.repository.location, { recursive: true }).map(String);
    expect(stored.filter((name) => /\/wal\/00000002|\/timelines\/00000002/.test(name))).toEqual([]);
  });
});

const archivedNames = (spool: string): string[] =>
  readdirSync(spool, { recursive: true }).map((name) => String(name).replace(/^.*\//, ''));

function made(path: string, make: (path: string) => void): string {
  make(path);
  return path;
}

/** Does something just before the `nth` WAL segment is read. */
function onRead(store: ObjectStore, nth: number, act: () => void): ObjectStore {
  let seen = 0;
  return onEveryRead(store, /\/wal\//, () => {
    seen += 1;
    if (seen === nth) act();
  });
}

function onEveryRead(store: ObjectStore, keys: RegExp, act: () => void): ObjectStore {
  return storeWith(store, {
    read: (key, options) => {
      if (keys.test(key)) act();
      return store.read(key, options);
    },
  });
}
