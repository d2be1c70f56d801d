import { describe, expect, test } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { backupKey, basePrefix } from '../../repository/layout.ts';
import { copy, newPlace } from '../copy/support.ts';
import { era, keysUnder, cluster as name } from '../repository/support.ts';
import { withRepositories } from '../support/repositories.ts';
import { clusterOf, expire, left, openStage, range, type Stage } from './support.ts';

/** As if the second repository had been away when the backup of this day was made: its WAL came from the spool, the backup did not. */
async function openTwo(missed: number): Promise<{ near: Stage; far: Stage }> {
  const near = await openStage({ daily: 10 }, { days: 6 });
  const { repository: from, keys } = near.cluster;
  const to = await newPlace('far');
  await copy({ keys, from, to });
  const { id } = near.backups[missed - 1]!;
  for (const key of [backupKey(name, era, id), ...(await keysUnder(to, basePrefix(name, era, id)))])
    await to.store.remove(key);
  const cluster = { ...clusterOf(to, keys, { daily: 10 }), ...withRepositories([to, from]) };
  return { near, far: { ...near, cluster } };
}

describe('a backup that one of two repositories missed', () => {
  test('keeps its WAL there, so that the next copy brings it', async () => {
    const { near, far } = await openTwo(5);
    expect(await expire(far)).toMatchObject({
      outcome: 'done',
      wal: [{ segments: 5, stays: 13 }],
      notes: [expect.anything()],
    });
    const copied = await copy({ keys: near.cluster.keys, from: near.cluster.repository, to: far.cluster.repository });
    expect(copied).toMatchObject({ outcome: 'complete', backups: [near.backups[4]!.id], lag: { backups: 0 } });
    expect((await left(far)).days).toEqual(range(1, 6));
  });

  test('keeps nothing where it was deleted, or where its WAL went before', async () => {
    const { near, far } = await openTwo(5);
    const [alone, both] = [withRepositories([far.cluster.repository]), far.cluster];
    await expire({ ...far, cluster: { ...both, ...alone } });
    expect((await left(far)).wal).not.toContain(15);
    expect(await expire(far)).toMatchObject({ outcome: 'done', wal: [{ segments: 0 }] });
    const short = { ...near, cluster: { ...clusterOf(near.cluster.repository, both.keys, { last: 1 }) } };
    await expire({
      ...short,
      cluster: { ...short.cluster, ...withRepositories([near.cluster.repository, both.repository]) },
    });
    expect(await left(near)).toEqual({ days: [6], wal: [18, 19, 20] });
  });

  test('is not known when the other repository is away, and that is said: expire goes on', async () => {
    const { near, far } = await openTwo(5);
    const error = new PgproofError('store-unreachable', 'it is gone');
    const gone = () => Promise.reject(error);
    const broken = {
      ...near.cluster.repository,
      store: {
        create: gone,
        read: gone,
        remove: gone,
        list: () => {
          throw error;
        },
      },
    };
    const here = far.cluster.repository;
    for (const others of [
      withRepositories([here, broken]),
      { ...withRepositories([here]), unavailable: [{ name: 'near', error, open: gone }] },
    ]) {
      const done = await expire({ ...far, cluster: { ...far.cluster, ...others } });
      expect(done).toMatchObject({ outcome: 'done', error: null });
      expect(done.notes.join()).toMatch(/Repository (near|local) was not asked \(it is gone\)/);
    }
  });
});
