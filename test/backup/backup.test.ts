import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { listBackups } from '../../repository/catalogue.ts';
import { majors } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { unpackBackup } from './support.ts';

describe.each(majors)('a base backup of PostgreSQL %s', (major) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ major });
    await stage.server.sql('CREATE TABLE orders AS SELECT n, md5(n::text) AS note FROM generate_series(1, 50000) n');
  });
  afterAll(() => stage?.dispose());

  test('is whole: pg_verifybackup accepts what its parts decode to', async () => {
    const { cluster } = stage;
    const record = await takeBackup(cluster, quietRun());

    expect(record).toMatchObject({ type: 'full', major: Number(major), timeline: 1, codec: { cipher: 'aes-256-gcm' } });
    expect(record.verified.files).toBeGreaterThan(900);
    expect(await listBackups(cluster.repository, cluster.keys, cluster.name)).toMatchObject([
      { id: record.id, state: 'whole' },
    ]);
    expect(readdirSync(cluster.paths.backups)).toEqual([]);

    const folder = tempDir();
    await unpackBackup(cluster, record, folder);
    execFileSync(join(stage.server.bin, 'pg_verifybackup'), ['-n', folder]);
  });
});
