import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alternate } from '../support/postgres.ts';
import { keptTempDir } from '../support/temp.ts';
import { ask, openRestoreStage, type RestoreStage } from './support.ts';

/** Every file below a folder, with its content's checksum. */
const fingerprint = (folder: string): string =>
  execFileSync('sh', ['-c', 'cd "$1" && find . -type f -exec sha256sum {} + | sort -k 2', '-', folder], {
    encoding: 'utf8',
  });

describe.each(alternate(0))("scenario 30: tablespaces, restored on the primary's own host, PostgreSQL %s", (major) => {
  let stage: RestoreStage;
  let later: string;

  beforeAll(async () => {
    stage = await openRestoreStage({ major, server: { tablespaces: ['fast'], settings: { autovacuum: 'off' } } });
    later = keptTempDir('later');
    await stage.server.sql('CREATE TABLE orders TABLESPACE fast AS SELECT n FROM generate_series(1, 1000) n');
    await stage.backup();
  });
  afterAll(async () => {
    await stage?.dispose();
    rmSync(later, { recursive: true, force: true });
  });

  test('those of the backup are put into the target; the files of the primary stay as they are', async () => {
    await stage.server.sql("SELECT pg_create_restore_point('whole')");
    await stage.server.sql('DELETE FROM orders WHERE n > 10');
    await stage.archive();
    await stage.server.sql('CHECKPOINT');
    const primary = stage.server.tablespaces.fast as string;
    const before = fingerprint(primary);

    const { plan, result } = await stage.restore('name:whole');

    expect(fingerprint(primary)).toBe(before);
    const [tablespace] = plan.tablespaces;
    expect(tablespace).toMatchObject({ from: primary, to: join(plan.into, 'tablespaces', tablespace?.oid as string) });
    expect(readlinkSync(join(plan.into, 'pg_tblspc', tablespace?.oid as string))).toBe(tablespace?.to);
    expect(result.notes).toContain(`The tablespace of '${primary}' will be in '${tablespace?.to}'.`);
    const sql =
      "SELECT count(*)::int AS rows, pg_tablespace_location(max(oid)) AS place FROM orders, pg_tablespace WHERE spcname = 'fast'";
    expect(await ask(stage.server.bin, plan.into, sql)).toEqual([{ rows: 1000, place: tablespace?.to }]);
    expect(readdirSync(plan.into)).not.toContain('pgproof-restore.json');
  });

  test('one that was created after the backup is put into the target, too; its files stay as they are', async () => {
    const { server } = stage;
    mkdirSync(join(later, 'ts'), { mode: 0o700 });
    mkdirSync(join(later, 'dropped'), { mode: 0o700 });
    await server.sql(`CREATE TABLESPACE dropped LOCATION '${later}/dropped'`);
    await server.sql('DROP TABLESPACE dropped');
    await server.sql(`CREATE TABLESPACE later LOCATION '${later}/ts'`);
    await server.sql('CREATE TABLE invoices TABLESPACE later AS SELECT n FROM generate_series(1, 10000) n');
    await server.sql('DELETE FROM invoices WHERE n > 7');
    await server.sql('VACUUM invoices');
    await server.sql("SELECT pg_create_restore_point('emptied')");
    await server.sql('INSERT INTO invoices SELECT generate_series(1, 10000)');
    await stage.archive();
    await server.sql('CHECKPOINT');
    const before = fingerprint(later);

    const { plan, result } = await stage.restore('name:emptied');

    expect(fingerprint(later)).toBe(before);
    const created = plan.created.at(-1) as (typeof plan.created)[number];
    expect(created).toMatchObject({ from: join(later, 'ts'), to: join(plan.into, 'tablespaces', created.oid) });
    expect(result.notes).toContain(
      `The tablespace of '${created.from}', created after the backup, will be in '${created.to}'.`,
    );
    expect(readdirSync(join(plan.into, 'pg_tblspc')).length).toBe(2);
    const sql = `SELECT count(*)::int AS rows, pg_tablespace_location(max(oid)) AS place FROM invoices, pg_tablespace WHERE spcname = 'later'`;
    expect(await ask(server.bin, plan.into, sql)).toEqual([{ rows: 7, place: created.to }]);

    await stage.backup();
    await stage.archive();
    const after = await stage.plan('latest');
    expect(after.tablespaces.map(({ from }) => from)).toEqual([server.tablespaces.fast, join(later, 'ts')]);
  });
});
