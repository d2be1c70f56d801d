import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { unpackBackup, unpackManifest } from './support.ts';

let stage: Stage;
afterEach(() => stage?.dispose());

type Outcome = { failed: { code: string; message: string }; left: string[]; id: string; afterwards: string[] };

/** With so little free at `place`, a folder of the stage's; then with enough. */
async function onSmallDisk(place: string, freeMib: number): Promise<Outcome> {
  const node = join(import.meta.dirname, '../../node_modules/.bin/node');
  const program = join(import.meta.dirname, 'full-disk.ts');
  const { stdout } = await promisify(execFile)('unshare', [
    '-Urm',
    node,
    program,
    stage.configFile,
    place,
    String(freeMib),
  ]);
  return JSON.parse(stdout) as Outcome;
}

describe.each(alternate(0))('on PostgreSQL %s', (major) => {
  test('scenario 9: a repository that runs full fails the backup, is as empty as before, and takes the next one', async () => {
    stage = await openStage({ major });
    const { failed, left, id, afterwards } = await onSmallDisk('repository', 2);
    expect(failed.code).toBe('no-space');
    expect(left).toEqual([]);
    expect(afterwards.length).toBeGreaterThan(1);
    expect(afterwards.every((key) => key.includes(`/base/${id}/`))).toBe(true);
  });
});

describe.each(alternate(1))('on PostgreSQL %s', (major) => {
  test('a cluster with extra tablespaces is staged, and each tablespace is verified and stored as a stream of its own', async () => {
    stage = await openStage({ major, server: { tablespaces: ['fast', 'slow'] } });
    const { server, cluster } = stage;
    await server.sql(
      'CREATE TABLE hot TABLESPACE fast AS SELECT n, md5(n::text) AS note FROM generate_series(1, 20000) n',
    );

    const record = await takeBackup(cluster, quietRun());
    const rows = await server.sql<{ oid: string; name: string }>(
      `SELECT oid::text, spcname AS name FROM pg_tablespace WHERE spcname IN ('fast', 'slow') ORDER BY oid`,
    );
    expect(record.tablespaces.map(({ name, path }) => ({ name, path }))).toEqual([
      ...rows.map(({ oid, name }) => ({ name: oid, path: server.tablespaces[name] })),
      { name: 'pgdata', path: null },
    ]);
    expect(readdirSync(cluster.paths.backups)).toEqual([]);

    const folder = tempDir();
    for (const { name } of record.tablespaces) {
      const into = name === 'pgdata' ? folder : join(folder, 'pg_tblspc', name);
      if (name !== 'pgdata') mkdirSync(into, { recursive: true });
      await unpackBackup(cluster, record, into, name);
    }
    await unpackManifest(cluster, record, folder);
    execFileSync(join(server.bin, 'pg_verifybackup'), ['-n', folder]);
  });

  test('scenario 9: too little room for staging is refused before anything is copied', async () => {
    stage = await openStage({ major, server: { tablespaces: ['fast'] } });
    const { failed, left } = await onSmallDisk('state/clusters/shop/backups', 8);
    expect(failed).toMatchObject({ code: 'no-space', message: expect.stringContaining('staging needs') });
    expect(left).toEqual([]);
  });
});
