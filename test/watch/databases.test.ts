import { afterAll, beforeAll, expect, test } from 'vitest';
import { databasesThere } from '../../watch/look.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { openArchive, signal } from '../wal/support.ts';

let server: Cluster;
beforeAll(async () => {
  server = await startCluster({ major: alternate(0)[0] as string });
});
afterAll(() => server?.dispose());

test('the databases that a dump of all takes are those that the server has; none while it does not answer', async () => {
  await server.sql('CREATE DATABASE crm');
  await server.sql('CREATE DATABASE closed ALLOW_CONNECTIONS false');
  const { socketDir: socket, port, user } = server;
  const { cluster } = await openArchive(tempDir(), { connection: { socket, port, user, database: 'postgres' } });
  expect((await databasesThere(cluster, { signal })).sort()).toEqual(['crm', 'postgres']);
  const withoutServer = (await openArchive(tempDir())).cluster;
  expect(await databasesThere(withoutServer, { signal })).toEqual([]);
});
