import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { PgproofError } from '../../core/errors.ts';
import type { DrillResult } from '../../core/report.ts';
import { runDrill } from '../../drill/drill.ts';
import { reportedDrill } from '../../drill/report.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { backupOutcome } from '../../report/backup.ts';
import { finishReport } from '../../report/file.ts';
import { startReport } from '../../report/report.ts';
import { currentEra } from '../../repository/eras.ts';
import { backupKey } from '../../repository/layout.ts';
import type { BackupRecord } from '../../repository/record.ts';
import { listWal } from '../../repository/wal.ts';
import { createRestorePoint, switchWal } from '../../wal/switch.ts';
import { alternate } from '../support/postgres.ts';
import { listReports } from '../support/reports.ts';
import { withStore } from '../support/repositories.ts';
import { storeWith } from '../support/store-with.ts';
import { changed, listening, openProtected, type ProtectedStage, quiet, until, withChecks } from './protected.ts';

const request = { kind: 'probe', reason: null, requestedBy: null } as const;
const drill = (cluster: ProtectedCluster): Promise<DrillResult> => runDrill(cluster, request, quiet);

describe.each(alternate(1))('a drill that does not pass, on PostgreSQL %s', (major) => {
  let stage: ProtectedStage;
  let record: BackupRecord;

  beforeAll(async () => {
    stage = await openProtected(major, { backup: false });
  });

  afterAll(() => stage?.dispose());

  test('is refused before there is a backup: with the command that takes one, a report, and nothing touched', async () => {
    onTestFinished(async () => {
      record = await takeBackup(stage.cluster, quiet);
    });
    await expect(reportedDrill(stage.cluster, request, quiet, null)).rejects.toMatchObject({
      code: 'backup-missing',
      hint: 'Take one: pgproof backup shop',
      facts: { report: expect.stringContaining('shop/reports/') },
    });
    const [report] = await listReports(stage.cluster.repository, 'shop');
    expect(report).toMatchObject({ operation: 'drill', status: 'FAILED', result: { verdict: 'inconclusive' } });
    expect(await stage.server.sql(`SELECT FROM pg_class WHERE relname = 'drill_marker'`)).toEqual([]);
    expect(readdirSync(stage.cluster.paths.drills)).toEqual([]);
  });

  test('is inconclusive when a check of the config could not run, however well all others went', async () => {
    const result = await drill(withChecks(stage.cluster, { fine: 'SELECT true', gone: 'SELECT true FROM gone' }));
    expect(result.verdict).toBe('inconclusive');
    expect(result.verdictReason).toMatch(/^could not run: gone: .*"gone" does not exist/);
    expect(result.checks.filter(({ passed }) => passed !== true).map(({ name }) => name)).toEqual(['gone']);
  });

  test('is a finding, not a smaller drill, when the role lacks a right on the primary', async () => {
    await stage.server.sql('CREATE ROLE weak LOGIN; GRANT pg_monitor TO weak');
    await stage.server.sql('GRANT ALL ON SCHEMA pgproof TO weak');
    await stage.server.sql('GRANT ALL ON ALL TABLES IN SCHEMA pgproof TO weak');
    const { connection } = stage.cluster.config;
    const result = await drill(changed(stage.cluster, { connection: { ...connection, user: 'weak' } }));
    expect(result.verdict).toBe('inconclusive');
    expect(result.verdictReason).toMatch(/pg_create_restore_point.*\[rights-missing\]/);
    expect(result.error).toMatchObject({ code: 'rights-missing', hint: expect.stringContaining('pgproof check') });
    expect(result.checks.find(({ name }) => name === 'marker-a-present')).toMatchObject({ passed: null });
    expect(await stage.server.sql('SELECT FROM pgproof.drill_marker')).toEqual([]);
  });

  test('scenario 12: is failed by one flipped bit in a part of the backup', async () => {
    harm(partOf(record), (bytes) => {
      bytes[Math.floor(bytes.length / 2)]! ^= 1;
    });
    const result = await drill(stage.cluster);
    expect(result).toMatchObject({ verdict: 'failed', backupId: record.id, rtoSeconds: null });
    expect(result.verdictReason).toContain('[object-damaged]');
    expect(result.error?.hint).toContain('Take a new one now: pgproof backup shop');
    expect(result.checks.filter(({ passed }) => passed === null).map(({ name }) => name)).toEqual([
      'pg_verifybackup',
      'stopped-at-target',
      'marker-a-present',
      'marker-b-absent',
    ]);
  });

  test('scenario 17: is failed by a part that is gone', async () => {
    take(partOf(record));
    const result = await drill(stage.cluster);
    expect(result.verdict).toBe('failed');
    expect(result.verdictReason).toContain('[object-missing]');
  });

  test('scenario 19: is failed by a WAL segment that is gone between backup and target', async () => {
    await archiveOneMore(stage.cluster);
    take(walFiles(stage.cluster).at(-1) as string);
    const result = await drill(stage.cluster);
    expect(result.verdict).toBe('failed');
    expect(result.verdictReason).toContain('[target-unreachable]');
  });

  test('scenario 12: is failed by a damaged commit file, and names it', async () => {
    harm(commitFile(stage.cluster, record), (bytes) => {
      bytes[20]! ^= 1;
    });
    const result = await drill(stage.cluster);
    expect(result.verdict).toBe('failed');
    expect(result.checks[0]).toMatchObject({ name: 'catalogue', passed: false });
    expect(result.checks[0]?.detail).toContain(record.id);
  });

  test('scenario 12: is failed when the only commit file is gone, because a report tells of the backup', async () => {
    const started = startReport({ operation: 'backup', workflow: null, requestedBy: null, reason: null });
    await finishReport(stage.cluster, started, backupOutcome(record, started));
    take(commitFile(stage.cluster, record));
    const result = await drill(stage.cluster);
    expect(result).toMatchObject({ verdict: 'failed', backupId: null });
    expect(result.checks[0]).toMatchObject({ name: 'catalogue', passed: false });
  });

  test('is inconclusive when the store cannot be reached any more: the backup may be whole', async () => {
    const { repository } = stage.cluster;
    const away = storeWith(repository.store, {
      read: async (key, options) => {
        if (key.includes('/base/')) throw new PgproofError('store-unreachable', 'the store does not answer');
        return repository.store.read(key, options);
      },
    });
    const result = await drill(withStore(stage.cluster, away));
    expect(result.verdict).toBe('inconclusive');
    expect(result.verdictReason).toContain('[store-unreachable]');
  });

  test('is CANCELLED when a person interrupts it, and leaves nothing', async () => {
    const stop = new AbortController();
    const run = listening(({ phase }) => {
      if (phase === 'recover') stop.abort(new PgproofError('cancelled', 'interrupted'));
    }, stop.signal);
    await expect(reportedDrill(stage.cluster, request, run, null)).rejects.toMatchObject({ code: 'cancelled' });
    const newest = (await listReports(stage.cluster.repository, 'shop')).at(-1);
    expect(newest).toMatchObject({ status: 'CANCELLED', result: { verdict: 'inconclusive' } });
    const { drills, plans, fetch } = stage.cluster.paths;
    expect([drills, plans, fetch].flatMap((path) => readdirSync(path))).toEqual([]);
    expect(await stage.server.sql('SELECT FROM pgproof.drill_marker')).toEqual([]);
  });

  const pathOf = (key: string) => join(stage.cluster.repository.location, key);
  const partOf = ({ tablespaces }: BackupRecord) => pathOf(tablespaces[0]!.parts[0]!.key);
  const commitFile = ({ name }: ProtectedCluster, { era, id }: BackupRecord) => pathOf(backupKey(name, era, id));
  const walFiles = ({ name }: ProtectedCluster) => {
    const root = pathOf(`${name}/${record.era}/wal`);
    const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((each) =>
      /-[0-9a-f]{32}\./.test(each),
    );
    return names.sort().map((each) => join(root, each));
  };
});

/** A segment behind those that the backup itself needs. */
async function archiveOneMore(cluster: ProtectedCluster): Promise<void> {
  await createRestorePoint(cluster, 'something to archive');
  const { segment } = await switchWal(cluster);
  const { repository, name } = cluster;
  const era = (await currentEra(repository, name))!.era;
  await until(async () => (await listWal(repository, name, era)).has(segment));
  // Until then the shipper would put it there again.
  await until(() => !existsSync(join(cluster.paths.spool, 'incoming', segment)));
}

/** Until the test ends. */
function harm(path: string, change: (bytes: Buffer) => void): void {
  copyFileSync(path, `${path}.kept`);
  onTestFinished(() => renameSync(`${path}.kept`, path));
  const bytes = readFileSync(path);
  change(bytes);
  renameSync(write(`${path}.harmed`, bytes), path);
}

function take(path: string): void {
  renameSync(path, `${path}.kept`);
  onTestFinished(() => renameSync(`${path}.kept`, path));
}

function write(path: string, bytes: Buffer): string {
  writeFileSync(path, bytes);
  return path;
}
