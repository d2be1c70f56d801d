import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareLsn } from '../../core/lsn.ts';
import { runDrill } from '../../drill/drill.ts';
import { readFrontier } from '../../wal/frontier.ts';
import { beat } from '../../wal/heartbeat.ts';
import { switchWal } from '../../wal/switch.ts';
import { alternate } from '../support/postgres.ts';
import { listening, openProtected, type ProtectedStage, until } from './protected.ts';

describe.each(alternate(1))('the RPO that a drill measures, on PostgreSQL %s', (major) => {
  let stage: ProtectedStage;

  beforeAll(async () => {
    stage = await openProtected(major);
  });

  afterAll(() => stage?.dispose());

  test('is what was lost before the drill pushed anything out: shipping was paused when it began', async () => {
    const { cluster } = stage;
    const archived = await beat(cluster);
    await switchWal(cluster);
    await until(async () => compareLsn((await readFrontier(cluster)).lsn, archived.lsn) >= 0);
    await stage.pauseShipping();
    await beat(cluster); // waits in the spool: it counts for nothing
    await switchWal(cluster);

    let frontierNoted = false;
    const run = listening(({ note }) => {
      if (frontierNoted || !note?.startsWith('the repository holds WAL up to')) return;
      frontierNoted = true;
      stage.resumeShipping();
    });
    const lostSeconds = (Date.now() - Date.parse(archived.at)) / 1000;
    const result = await runDrill(cluster, { kind: 'probe' }, run);
    expect(result.verdict).toBe('passed');
    expect(result.rpoMeasured).toMatchObject({ heartbeatSequence: archived.sequence, heartbeatAt: archived.at });
    expect(result.rpoSeconds).toBeGreaterThanOrEqual(lostSeconds);
  });
});
