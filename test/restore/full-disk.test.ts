import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alternate } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { openRestoreStage, type RestoreStage } from './support.ts';

const sizeMib = 200;

/** Mounts a small file system that only the command sees, and runs it as the user that we are, not as a root of its own. */
const inNamespace =
  'mount -t tmpfs -o "size=$1m,mode=0700" tmpfs "$2" && exec unshare -U --map-user="$3" --map-group="$4" "$5" "$6" "$7" "$2" "$1"';

describe.each(alternate(0))('scenario 9: the file system of the restore is full, PostgreSQL %s', (major) => {
  let stage: RestoreStage;

  beforeAll(async () => {
    stage = await openRestoreStage({ major, server: { initdbArgs: ['--wal-segsize=1'] } });
    await stage.server.sql('CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n');
    await stage.backup();
    await stage.archive();
  });
  afterAll(() => stage?.dispose());

  test('known beforehand it is refused; found out midway it is said, and the same restore finishes once there is room', async () => {
    const mount = join(tempDir(), 'small');
    mkdirSync(mount);
    const ids = [process.getuid?.(), process.getgid?.()].map(String);
    const child = [process.execPath, join(import.meta.dirname, 'full-disk.ts'), stage.configFile];
    const args = ['-Urm', 'sh', '-c', inNamespace, '-', String(sizeMib), mount, ...ids, ...child];
    const { stdout } = await promisify(execFile)('unshare', args);
    expect(JSON.parse(stdout)).toEqual({
      planned: 'no-space',
      writtenByPlan: [],
      started: 'no-space',
      isServer: false,
      dataDir: join(mount, 'data'),
      left: ['data'],
    });
  });
});
