import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRestore } from '../../restore/start.ts';
import { faulty } from '../../storage/fault.ts';
import { alternate } from '../support/postgres.ts';
import { withStore } from '../support/repositories.ts';
import { quietRun } from '../support/run.ts';
import { openRestoreStage, type RestoreStage } from './support.ts';

describe.each(alternate(1))('a restore whose store hangs without an answer, PostgreSQL %s', (major) => {
  let stage: RestoreStage;

  beforeAll(async () => {
    stage = await openRestoreStage({ major, server: { initdbArgs: ['--wal-segsize=1'] } });
    await stage.backup();
    await stage.archive();
  });
  afterAll(() => stage?.dispose());

  test('is given up, and goes through when it is started again', async () => {
    const { cluster } = stage;
    const plan = await stage.plan('latest');
    const store = faulty(cluster.repository.store, [{ on: 'read', key: /\/base\//, fault: { kind: 'hang' } }]);
    const hanging = withStore(cluster, store);
    await expect(startRestore(hanging, plan.id, quietRun(), { stallSeconds: 1 })).rejects.toMatchObject({
      code: 'timeout',
    });
    // One that moves is let go on, however long it takes.
    expect(await startRestore(cluster, plan.id, quietRun(), { stallSeconds: 60 })).toMatchObject({ planId: plan.id });
  });
});
