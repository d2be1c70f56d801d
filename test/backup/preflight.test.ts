import { appendFileSync, cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { preflight, takeBackup } from '../../backup/backup.ts';
import { refuseLostWal } from '../../backup/lost-wal.ts';
import { missingFromBackup } from '../../backup/notes.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectServer } from '../../postgres/server.ts';
import { requireEra } from '../../repository/eras.ts';
import { makeSpool } from '../../wal/spool.ts';
import { idOf, recordOf } from '../repository/support.ts';
import { alternate } from '../support/postgres.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { listed } from './support.ts';

describe.each(alternate(0))('a backup of PostgreSQL %s is refused before anything is written', (major) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ major });
  });
  afterAll(() => stage?.dispose());

  const asked = (cluster: ProtectedCluster) => preflight(cluster, quietRun());

  async function withSetting(setting: string, value: string, look: () => Promise<void>): Promise<void> {
    const { server } = stage;
    const change = async (statement: string): Promise<void> => {
      await server.sql(statement);
      await server.stop();
      await server.start();
    };
    const [before] = await server.sql<{ setting: string }>('SELECT setting FROM pg_settings WHERE name = $1', [
      setting,
    ]);
    await change(`ALTER SYSTEM SET ${setting} = '${value}'`);
    try {
      await look();
    } finally {
      await change(`ALTER SYSTEM SET ${setting} = '${before?.setting.replaceAll("'", "''")}'`);
    }
  }

  test('when nothing is wrong it is not', async () => {
    expect((await asked(stage.cluster)).era.systemId).toBe((await asked(stage.cluster)).server.systemId);
  });

  test('for a cluster without an era', async () => {
    const attempt = asked({ ...stage.cluster, name: 'other' });
    await expect(attempt).rejects.toMatchObject({ code: 'era-undeclared', hint: 'Run: pgproof era new other' });
  });

  test('when WAL is not archived', async () => {
    await withSetting('archive_mode', 'off', async () => {
      await expect(takeBackup(stage.cluster, quietRun())).rejects.toMatchObject({
        code: 'server-settings',
        message: expect.stringContaining('archive_mode is off'),
      });
    });
    expect(await listed(stage)).toEqual([]);
  });

  test('when archive_command is empty', async () => {
    await withSetting('archive_command', '', async () => {
      await expect(asked(stage.cluster)).rejects.toMatchObject({ code: 'server-settings' });
    });
  });

  test('for a role that may not copy', async () => {
    await stage.server.sql('CREATE ROLE reader LOGIN');
    const connection = { ...stage.cluster.config.connection, user: 'reader' };
    const cluster = { ...stage.cluster, config: { ...stage.cluster.config, connection } };
    await expect(asked(cluster)).rejects.toMatchObject({
      code: 'rights-missing',
      hint: 'Run as a superuser: ALTER ROLE "reader" REPLICATION;',
    });
  });

  test('for a server that is not the one of the era', async () => {
    const other = await openStage({ major, server: { freshSystemId: true } });
    try {
      const cluster = { ...stage.cluster, config: other.cluster.config };
      await expect(asked(cluster)).rejects.toMatchObject({ code: 'era-mismatch' });
      // A backup of the server before, whose WAL is not there yet: waited for while some of it may be in the spool.
      const era = await requireEra(cluster.repository, cluster.name);
      const pending = { ...recordOf(idOf(1), { era: era.era, systemId: era.systemId }), dropped: [] };
      const paths = { ...cluster.paths, spool: tempDir() };
      const { incoming } = await makeSpool(paths.spool);
      writeFileSync(join(incoming, '000000010000000000000009'), '');
      await refuseLostWal({ ...cluster, paths }, pending, quietRun().signal);
      rmSync(incoming, { recursive: true });
      await makeSpool(paths.spool);
      await expect(refuseLostWal({ ...cluster, paths }, pending, quietRun().signal)).rejects.toMatchObject({
        code: 'wal-lost',
      });
    } finally {
      await other.dispose();
    }
  });

  test('for a timeline whose history the repository does not have, and for a standby', async () => {
    const { server } = stage;
    await server.stop();
    appendFileSync(join(server.dataDir, 'postgresql.conf'), "\nrestore_command = '/bin/false'\n");
    appendFileSync(join(server.dataDir, 'standby.signal'), '');
    await server.start();
    await expect(asked(stage.cluster)).rejects.toMatchObject({ code: 'server-in-recovery' });
    await server.sql('SELECT pg_promote(true)');
    await expect(asked(stage.cluster)).rejects.toMatchObject({ code: 'timeline-not-adopted', facts: { timeline: 2 } });
  });
});

describe.each(alternate(1))('on PostgreSQL %s', (major) => {
  test('scenario 30: what lies outside the data directory is named in the record, because the backup does not have it', async () => {
    const stage = await openStage({ major });
    const { server, cluster } = stage;
    try {
      await server.stop();
      const elsewhere = join(stage.folder, 'etc');
      mkdirSync(elsewhere);
      renameSync(join(server.dataDir, 'pg_hba.conf'), join(elsewhere, 'pg_hba.conf'));
      appendFileSync(join(server.dataDir, 'postgresql.conf'), `\nhba_file = '${elsewhere}/pg_hba.conf'\n`);
      cpSync(join(server.dataDir, 'pg_wal'), join(elsewhere, 'pg_wal'), { recursive: true });
      renameSync(join(server.dataDir, 'pg_wal'), join(elsewhere, 'pg_wal.old'));
      symlinkSync(join(elsewhere, 'pg_wal'), join(server.dataDir, 'pg_wal'));
      await server.start();

      const record = await takeBackup(cluster, quietRun());
      expect(record.notes).toEqual([
        `${elsewhere}/pg_hba.conf lies outside the data directory and is not part of the backup`,
        'pg_wal is a symbolic link; a restore makes a plain folder of it',
      ]);
      const facts = await inspectServer(cluster.config.connection);
      expect(await missingFromBackup({ ...facts, dataDirectory: null })).toEqual([
        'the role may not see data_directory, so configuration files elsewhere are unknown',
      ]);
    } finally {
      await stage.dispose();
    }
  });
});
