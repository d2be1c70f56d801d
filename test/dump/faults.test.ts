import { chmodSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { DumpFormat, DumpOptions } from '../../core/dump.ts';
import type { Progress } from '../../core/run.ts';
import { dumpTargets, takeDump } from '../../dump/dump.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import { cutConnection } from '../support/cut-connection.ts';
import { alternate, bin, majors } from '../support/postgres.ts';
import { withStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage, until } from '../support/stage.ts';
import { tempDir } from '../support/temp.ts';
import { listed, partKeys, targetOf } from './support.ts';

const asked = { kind: 'database' as const, tier: 'manual', databases: ['shop'] };

describe.each(alternate(1))('on PostgreSQL %s', (major) => {
  let stage: Stage;
  let sql: (text: string) => Promise<object[]>;
  beforeAll(async () => {
    stage = await openStage({ major });
    await stage.server.sql('CREATE DATABASE shop');
    sql = (text) => stage.server.sql(text, [], 'shop');
    await sql(`CREATE TABLE items AS SELECT n, repeat(md5(n::text), 4) AS text FROM generate_series(1, 300000) n`);
    await sql('CREATE TABLE secrets AS SELECT 1 AS one');
  });
  afterAll(() => stage?.dispose());

  /** All that there is of dumps. What a test leaves that failed is no matter of the next one. */
  const found = async (): Promise<string[]> => [
    ...(await listed(stage.cluster)),
    ...(await partKeys(stage.cluster)),
    ...readdirSync(stage.cluster.paths.dumps).filter((name) => name !== 'swept'),
  ];
  let before: string[];
  beforeEach(async () => {
    before = await found();
  });

  /** As if it had never been tried. */
  async function expectNothingLeft(): Promise<void> {
    expect((await found()).filter((one) => !before.includes(one))).toEqual([]);
    await until(async () => (await sessions()) === 0);
  }
  const sessions = async (): Promise<number> => {
    const [{ count }] = (await stage.server.sql(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name LIKE 'pgproof %-logical-%'`,
    )) as [{ count: number }];
    return count;
  };
  /** The same cluster with other programs. */
  const withBin = (folder: string): Stage['cluster'] => ({
    ...stage.cluster,
    config: { ...stage.cluster.config, tools: { bin: folder } },
  });
  /** PostgreSQL's programs, with this shell script in the place of pg_dump; `$real` is the real one. */
  const standIn = (script: string): Stage['cluster'] => {
    const folder = tempDir();
    for (const name of ['pg_dumpall', 'pg_restore', 'psql'])
      symlinkSync(join(stage.server.bin, name), join(folder, name));
    writeFileSync(join(folder, 'pg_dump'), `#!/bin/sh\nreal='${join(stage.server.bin, 'pg_dump')}'\n${script}\n`);
    chmodSync(join(folder, 'pg_dump'), 0o755);
    return withBin(folder);
  };
  const asRole = (user: string): Stage['cluster'] => {
    const { connection } = stage.cluster.config;
    return { ...stage.cluster, config: { ...stage.cluster.config, connection: { ...connection, user } } };
  };
  /** Does something once, as soon as a few bytes were dumped. */
  const duringDump = (act: () => void, signal?: AbortSignal) => {
    let acted = false;
    const progress = ({ phase, doneBytes = 0 }: Progress): void => {
      if (acted || phase !== 'dump' || doneBytes === 0) return;
      acted = true;
      act();
    };
    return { ...quietRun(signal), progress };
  };
  const small = (format: DumpFormat) => targetOf('shop', { format, tables: ['secrets'] });
  const forms: [DumpOptions][] = [
    [{ format: 'custom', compression: 'none' }],
    [{ format: 'directory', compression: 'none' }],
    [{ format: 'plain' }],
  ];

  const [oldest] = majors;
  if (oldest !== undefined && major !== oldest)
    test('scenario 39: a pg_dump that is older than the server is refused before it starts', async () => {
      const old = withBin(bin(oldest));
      await expect(dumpTargets(old, asked, quietRun())).rejects.toMatchObject({
        code: 'tool-outdated',
        permanent: true,
        facts: { toolMajor: Number(oldest), neededMajor: Number(major) },
      });
      await expect(takeDump(old, targetOf('shop'), quietRun())).rejects.toMatchObject({ code: 'tool-outdated' });
      await expectNothingLeft();
    });

  test('scenario 39: a role that may not read one table gets no smaller dump', async () => {
    await sql('CREATE ROLE reader LOGIN');
    await sql('GRANT pg_read_all_settings TO reader');
    await stage.server.sql('GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO reader');
    await sql('GRANT SELECT ON items TO reader');
    const reader = asRole('reader');
    await expect(takeDump(reader, targetOf('shop'), quietRun())).rejects.toMatchObject({
      code: 'rights-missing',
      facts: { tables: ['public.secrets'] },
      hint: expect.stringContaining('GRANT pg_read_all_data TO "reader"'),
    });
    // What a pattern selects pg_dump alone knows, and it fails as well.
    const failed = { code: 'tool-failed', message: expect.stringContaining('permission denied for table secrets') };
    await expect(takeDump(reader, targetOf('shop', { tables: ['s*'] }), quietRun())).rejects.toMatchObject(failed);

    await sql('GRANT SELECT ON secrets TO reader');
    await sql('ALTER TABLE secrets ENABLE ROW LEVEL SECURITY');
    const hidden = { code: 'rights-missing', hint: expect.stringContaining('BYPASSRLS') };
    await expect(takeDump(reader, targetOf('shop'), quietRun())).rejects.toMatchObject(hidden);
    const kept = { code: 'tool-failed', message: expect.stringContaining('row-level security') };
    await expect(takeDump(reader, targetOf('shop', { tables: ['s*'] }), quietRun())).rejects.toMatchObject(kept);
    await sql('ALTER TABLE secrets DISABLE ROW LEVEL SECURITY');
    await expectNothingLeft();
  });

  test('an encoding, a database or a table that the server does not know is named', async () => {
    const refused = (request: object) =>
      expect(dumpTargets(stage.cluster, { ...asked, ...request }, quietRun())).rejects;
    await refused({ encoding: 'KLINGON' }).toMatchObject({ code: 'dump-refused', facts: { encoding: 'KLINGON' } });
    await refused({ databases: ['host=evil'] }).toMatchObject({ code: 'database-missing' });
    const target = targetOf('shop', { tables: ['items', 'no such table'] });
    await expect(takeDump(stage.cluster, target, quietRun())).rejects.toMatchObject({
      code: 'tool-failed',
      message: expect.stringContaining('no such table'),
    });
    await expectNothingLeft();
  });

  test.each(forms)(
    'scenario 40: a dump that was cut while pg_dump said that all is well is not committed (%o)',
    async (options) => {
      const cut =
        options.format === 'directory'
          ? `for arg; do case $arg in --file=*) folder=\${arg#--file=};; esac; done
           "$real" "$@" "--file=$folder.real" && truncate -s -20 "$folder.real"/*[0-9].dat && cp "$folder.real"/* "$folder"`
          : `case $* in *--version*) exec "$real" "$@";; esac; "$real" "$@" | head -c -20`;
      const wrapped = standIn(
        options.format === 'directory' ? `case $* in *--version*) exec "$real" "$@";; esac; ${cut}` : cut,
      );
      await expect(takeDump(wrapped, targetOf('shop', options), quietRun())).rejects.toMatchObject({
        code: 'dump-unverified',
      });
      await expectNothingLeft();
    },
  );

  test('scenario 40: a whole dump of a pg_dump that says it failed is not committed', async () => {
    const failing = standIn(
      'case $* in *--version*) exec "$real" "$@";; esac; "$real" "$@"; echo "pg_dump: error: no" >&2; exit 1',
    );
    for (const format of ['custom', 'directory', 'plain'] as const)
      await expect(takeDump(failing, small(format), quietRun())).rejects.toMatchObject({
        code: 'tool-failed',
        facts: { exitCode: 1 },
      });
    await expectNothingLeft();
  });

  test.each(forms.slice(0, 2))('a connection that drops half way ends the dump, and says so (%o)', async (options) => {
    const network = await cutConnection(stage.server, 5_000_000);
    onTestFinished(() => network.close());
    const { config } = stage.cluster;
    const connection = { ...config.connection, socket: network.socketDir };
    const far = { ...stage.cluster, config: { ...config, connection } };
    await expect(takeDump(far, targetOf('shop', options), quietRun())).rejects.toMatchObject({
      code: 'tool-failed',
      message: expect.stringMatching(/closed|lost|died/),
    });
    await expectNothingLeft();
  });

  test('a store that fails, loses or cuts a part leaves no dump', async () => {
    const on = (...plan: FaultPlan) => withStore(stage.cluster, faulty(stage.cluster.repository.store, plan));
    for (const [fault, code] of [
      [{ kind: 'fail' }, 'store-unreachable'],
      [{ kind: 'truncate', bytes: 10 }, 'dump-unverified'],
      [{ kind: 'forget' }, 'dump-unverified'],
    ] as const) {
      const wrong = on({ on: 'create', key: /dump\.(custom|directory)/, fault });
      for (const format of ['custom', 'directory'] as const)
        await expect(takeDump(wrong, small(format), quietRun())).rejects.toMatchObject({ code });
    }
    await expectNothingLeft();
  });

  test.each(forms.slice(0, 2))('a cancelled dump ends with all that it started (%o)', async (options) => {
    const stop = new AbortController();
    const stopping = duringDump(() => stop.abort(), stop.signal);
    await expect(takeDump(stage.cluster, targetOf('shop', options), stopping)).rejects.toMatchObject({
      code: 'cancelled',
    });
    await expectNothingLeft();
  });

  test('a dump that waits for a lock is given up, with what to look for', async () => {
    const blocker = stage.server.sql('BEGIN; LOCK TABLE secrets; SELECT pg_sleep(60)', [], 'shop').catch(() => {});
    await until(async () => {
      const held = await stage.server.sql(`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`);
      return held.length > 0;
    });
    await expect(takeDump(stage.cluster, targetOf('shop'), quietRun(), { stallSeconds: 2 })).rejects.toMatchObject({
      code: 'timeout',
      hint: expect.stringContaining('holds a lock'),
    });
    await stage.server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`);
    await blocker;
    await expectNothingLeft();
  });
});
