import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { takeDump } from '../../dump/dump.ts';
import { faulty } from '../../storage/fault.ts';
import { alternate } from '../support/postgres.ts';
import { withStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { type Two, withFar } from '../support/two.ts';
import { openValve } from '../support/valve.ts';
import { fetchDump, listed, partKeys, run, targetOf } from './support.ts';

const node = join(import.meta.dirname, '../../node_modules/.bin/node');
/** Where it does not matter how much there is. */
const small = targetOf('shop', { content: 'schema' });

describe.each(alternate(0))('on PostgreSQL %s', (major) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ major });
    await stage.server.sql('CREATE DATABASE shop');
    await stage.server.sql(
      `CREATE TABLE items AS SELECT n, md5(n::text) || md5((-n)::text) || md5((n + 0.1)::text) || md5((n + 0.2)::text) AS text
         FROM generate_series(1, 200000) n`,
      [],
      'shop',
    );
  });
  afterAll(() => stage?.dispose());

  test('a pg_dump that gets ahead is stopped and goes on, and the pieces of its files join to what it wrote', async () => {
    const target = targetOf('shop', { format: 'directory', compression: 'none' });
    const { record } = await takeDump(stage.cluster, target, quietRun(), { windowBytes: 200_000 });
    const path = await fetchDump(stage.cluster, record, tempDir());
    const { stdout } = await run(join(stage.server.bin, 'pg_restore'), ['-f', '-', path], { maxBuffer: 1 << 28 });
    expect(stdout.match(/^\d+\t[0-9a-f]{128}$/gm)).toHaveLength(200_000);
  });

  test('what a killed dump started ends with it, also where it was stopped; the next dump takes away what it left', async () => {
    const { paths } = stage.cluster;
    const before = new Set(await partKeys(stage.cluster));
    // A pg_dump that is done before anybody looks is never stopped.
    const network = await openValve(stage.server);
    onTestFinished(() => network.close());
    void network.shut(20_000_000);
    const program = join(import.meta.dirname, 'child.ts');
    const child = spawn(node, [program, stage.configFile, 'shop', network.socketDir], { stdio: 'inherit' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    const attempts = (): string[] => readdirSync(paths.dumps).filter((name) => /-logical-/.test(name));
    const tools = (): string[] => attempts().flatMap((id) => processesNamed(`pgproof ${id}`));
    const left = async () => (await partKeys(stage.cluster)).filter((key) => !before.has(key));
    await until(async () => (await left()).length === 2);
    await until(() => tools().length >= 3 && tools().every((pid) => stateOf(pid) === 'T'));
    const pids = tools();
    child.kill('SIGKILL');
    await ended;
    await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)));
    expect(attempts()).toHaveLength(1);

    const { record } = await takeDump(stage.cluster, small, quietRun());
    expect(await left()).toEqual(record.dump.parts.map(({ key }) => key));
    expect(attempts()).toEqual([]);
    expect(await listed(stage.cluster)).toContain(record.id);
  });

  test('a dump that lives is left alone by another one that begins', async () => {
    const [begun, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const store = faulty(stage.cluster.repository.store, []);
    const create = store.create.bind(store);
    store.create = async (...args) => {
      begun.resolve();
      await mayEnd.promise;
      return create(...args);
    };
    const slow = takeDump(withStore(stage.cluster, store), targetOf('shop', { format: 'plain' }), quietRun());
    await Promise.race([begun.promise, slow]);
    const second = await takeDump(stage.cluster, small, quietRun());
    mayEnd.resolve();
    const first = await slow;
    expect(await listed(stage.cluster)).toEqual(expect.arrayContaining([first.record.id, second.record.id]));
  });

  test('a repository that is not required and fails is dropped, and the dump is whole in the other', async () => {
    const two: Two = await withFar(stage, { required: ['local'] });
    two.faults.far.push({ on: 'create', key: /dump\.custom/, fault: { kind: 'fail' } });
    const { record, copies } = await takeDump(two.cluster, small, quietRun());
    expect(copies).toMatchObject({ repositories: ['local'], dropped: [{ repository: 'far' }] });
    expect(await listed(two.nearly)).toContain(record.id);
    two.faults.far.length = 0;
    const both = await takeDump(two.cluster, small, quietRun());
    expect(both.copies).toMatchObject({ repositories: ['local', 'far'], dropped: [] });
    expect(await listed(two.farther)).toEqual([both.record.id]);
  });

  test('a repository or a state folder that is full fails the dump, and leaves no more than before', async () => {
    for (const [place, freeMib, format] of [
      ['repository', 1, 'plain'],
      ['state', 2, 'directory'],
    ] as const) {
      const program = join(import.meta.dirname, 'full-disk.ts');
      const args = ['-Urm', node, program, stage.configFile, place, String(freeMib), format];
      const { stdout } = await promisify(execFile)('unshare', args);
      const { failed, left, committed } = JSON.parse(stdout);
      expect(failed).toMatchObject({ code: 'no-space' });
      expect(left).toEqual([]);
      expect(committed).toMatch(/-logical-/);
    }
  });
});

/** Processes that have this name for the server. */
function processesNamed(name: string): string[] {
  return readdirSync('/proc').filter(
    (pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/environ`).includes(`PGAPPNAME=${name}\0`),
  );
}

const stateOf = (pid: string): string | undefined => /\) (\w)/.exec(read(`/proc/${pid}/stat`))?.[1];

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended, or is another's
  }
}
