import { mkdirSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mayReap, noteBegun } from '../../backup/begun.ts';
import { compactTime } from '../../core/ids.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { unnamedLeader } from '../../wal/leader.ts';
import { tempDir } from '../support/temp.ts';

function clusterOn(host: string, hosts: string[]): ProtectedCluster {
  const backups = `${tempDir()}/backups`;
  mkdirSync(backups);
  return { name: 'shop', host, config: { host: hosts }, paths: { backups } } as unknown as ProtectedCluster;
}

test('a server that was promoted is believed only on the host that the config names first, or on an adopted timeline', () => {
  const hosts = ['db-7', 'db-8'];
  expect(unnamedLeader(clusterOn('db-7', hosts), { timeline: 2 }, 1)).toBeUndefined();
  expect(unnamedLeader(clusterOn('db-7', ['db-7']), { timeline: 2 }, 1)).toBeUndefined();
  expect(unnamedLeader(clusterOn('db-8', hosts), { timeline: 2 }, 2)).toBeUndefined();
  expect(unnamedLeader(clusterOn('db-8', hosts), { timeline: 2 }, 1)).toMatchObject({
    code: 'timeline-not-adopted',
    message: expect.stringContaining("names db-7 as the leader of 'shop'"),
    hint: expect.stringContaining('clusters.shop.host: [db-8, db-7]'),
  });
});

test('on a cluster that spans hosts, one host removes what it began itself, and what nobody can still be at work on', async () => {
  const daysAgo = (days: number) => `${compactTime(new Date(Date.now() - days * 86_400_000))}-full-0000000${days % 10}`;
  const here = clusterOn('db-8', ['db-7', 'db-8']);
  await noteBegun(here, daysAgo(1));
  await noteBegun(here, daysAgo(16));
  const may = await mayReap(here);
  expect([daysAgo(1), daysAgo(2), daysAgo(16), daysAgo(17)].map(may)).toEqual([true, false, true, true]);
  expect(readdirSync(here.paths.backups)).toEqual([`${daysAgo(1)}.begun`]);
  const alone = await mayReap(clusterOn('db-7', ['db-7']));
  expect(alone(daysAgo(2))).toBe(true);
});
