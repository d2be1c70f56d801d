import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { PgproofError } from '../../core/errors.ts';
import { runDrill } from '../../drill/drill.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { type Two, withFar } from '../support/two.ts';

const quiet = { signal: new AbortController().signal, progress: () => {} };

describe.each(alternate(1))('a drill with two repositories, PostgreSQL %s', (major) => {
  let stage: Stage;
  let two: Two;
  beforeEach(async () => {
    stage = await openStage({ major });
    two = await withFar(stage);
    await takeBackup(two.cluster, quiet);
  });
  afterEach(() => stage?.dispose());

  test('passes where the nearest has a part damaged and the other one has it whole, and says so', async () => {
    two.faults.near.push({ on: 'read', key: /pgdata\.1\.tar/, fault: { kind: 'flip', at: 100_000 } });
    const result = await runDrill(two.cluster, { kind: 'probe' }, quiet);
    expect(result).toMatchObject({ verdict: 'passed', fallbacks: [{ missingIn: 'local', takenFrom: 'far' }] });
    expect(result.notes).toContainEqual(expect.stringContaining("came from repository 'far', because in 'local'"));

    // A commit file that cannot be trusted is a finding of its own, however many copies there are.
    two.faults.near.splice(0, 1, { on: 'read', key: /\/backups\//, fault: { kind: 'flip', at: 200 } });
    const damaged = await runDrill(two.cluster, { kind: 'probe' }, quiet);
    expect(damaged.verdict).toBe('failed');
    expect(damaged.checks).toContainEqual(
      expect.objectContaining({ name: 'catalogue', passed: false, detail: expect.stringContaining("in 'local'") }),
    );
  });

  test('drills what is left when the nearest is away, and refuses where nothing is left that WAL is written to', async () => {
    const error = new PgproofError('store-unreachable', 'the store does not answer');
    const away = {
      repository: two.far,
      repositories: [two.far],
      written: [two.far],
      unavailable: [{ name: 'local', error, open: () => Promise.reject(error) }],
    };
    expect(await runDrill({ ...two.cluster, ...away }, { kind: 'probe' }, quiet)).toMatchObject({ verdict: 'passed' });
    const config = { ...two.cluster.config, write: 'first' as const };
    const nowhere = { ...two.cluster, config, ...away, written: [] };
    await expect(runDrill(nowhere, { kind: 'probe' }, quiet)).rejects.toMatchObject({ code: 'store-unreachable' });
  });
});
