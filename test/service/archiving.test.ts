import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refuseWhileArchiving } from '../../client/service/archiving.ts';
import { keptPlaces } from '../../client/service/kept.ts';
import { findUser } from '../../client/service/os-user.ts';
import { type Config, configSchema } from '../../core/config.ts';
import { archiveCommand } from '../../wal/archive-command.ts';
import { reloadConfig } from '../postgres/reload.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { silent } from '../support/temporal.ts';

/** A worker does not go while a server counts on it, and takes nothing along when it goes. */

const { signal } = new AbortController();
let server: Cluster;
beforeAll(async () => {
  const command = archiveCommand({ scripts: '/var/lib/pgproof/bin', spool: '/var/lib/pgproof/clusters/shop/spool' });
  server = await startCluster({
    major: alternate(0)[0] as string,
    settings: { archive_mode: 'on', archive_command: command },
  });
});
afterAll(() => server?.dispose());

const configOf = (state: string, more: object = {}): Config =>
  configSchema.parse({
    hosts: { 'db-7': { state }, 'db-8': {} },
    repositories: { local: { type: 'file', path: join(state, 'repository') } },
    clusters: {
      shop: {
        host: 'db-7',
        connection: { socket: server.socketDir, port: server.port, user: server.user, ...more },
        repositories: ['local'],
      },
    },
  });

describe('service uninstall', () => {
  test('refuses while archive_command points to pgproof, with the statements that end it', async () => {
    const refused = refuseWhileArchiving(configOf('/var/lib/pgproof'), 'db-7', signal);
    await expect(refused).rejects.toMatchObject({
      code: 'service-in-use',
      message: expect.stringContaining('/var/lib/pgproof/bin/archive-wal'),
      hint: expect.stringContaining('ALTER SYSTEM RESET archive_command;'),
    });
  });

  test('refuses while it cannot be asked: it may archive as soon as it is back', async () => {
    const refused = refuseWhileArchiving(configOf('/var/lib/pgproof', { port: 1 }), 'db-7', signal);
    await expect(refused).rejects.toMatchObject({ code: 'service-in-use', hint: expect.stringContaining("'shop'") });
  });

  test('asks only the servers of this host, and goes once the statements were run', async () => {
    const config = configOf('/var/lib/pgproof');
    await refuseWhileArchiving(config, 'db-8', signal);
    // What the hint says; the helper's own setting stands in postgresql.conf, where RESET does not reach.
    await server.sql(`ALTER SYSTEM SET archive_command = ''`);
    await reloadConfig(server);
    await refuseWhileArchiving(config, 'db-7', signal);
  });

  test('names all that stays, and the WAL that no repository has yet', async () => {
    const state = tempDir('state');
    const incoming = join(state, 'clusters/shop/spool/incoming');
    mkdirSync(incoming, { recursive: true });
    writeFileSync(join(incoming, '000000010000000000000007'), 'x');
    const host = {
      config: configOf(state),
      configFile: '/etc/pgproof/pgproof.yaml',
      name: 'db-7',
      stateDir: state,
      log: silent,
    };
    const { kept, unshipped } = await keptPlaces(host, await findUser(userInfo().username));
    expect(kept.map(({ where }) => where)).toEqual(['/etc/pgproof/pgproof.yaml', join(state, 'repository'), state]);
    expect(unshipped).toEqual([{ what: '1 WAL files of shop', where: join(state, 'clusters/shop/spool') }]);
  });
});
