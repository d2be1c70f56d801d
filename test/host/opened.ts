import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { openCluster } from '../../host/cluster.ts';
import { type Host, openHost } from '../../host/host.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectServer } from '../../postgres/server.ts';
import { declareEra } from '../../repository/eras.ts';
import { generateKeyFile } from '../../repository/key-file.ts';
import type { KeyCipher } from '../../repository/keys.ts';
import { initRepository } from '../../repository/repository.ts';
import type { Cluster } from '../support/postgres.ts';

export type ShopOptions = {
  /** Role that pgproof connects as. @defaultValue 'postgres' */
  user?: string;
  /** @defaultValue true */
  key?: boolean;
  /** Of the key. @defaultValue 'aes-256-gcm' */
  cipher?: KeyCipher;
  /** false: no era is declared. @defaultValue true */
  era?: boolean;
};

/** A host of its own below `dir`: config file, state, key and repository. */
export async function shopHost(
  server: Pick<Cluster, 'socketDir' | 'port'>,
  dir: string,
  options: ShopOptions = {},
): Promise<Host> {
  const config = {
    hosts: { 'db-7': { state: join(dir, 'state') } },
    repositories: { local: { type: 'file', path: join(dir, 'repository') } },
    keys: { main: { file: join(dir, 'main.key') } },
    clusters: {
      shop: {
        host: 'db-7',
        connection: { socket: server.socketDir, port: server.port, user: options.user ?? 'postgres' },
        repositories: ['local'],
        ...(options.key === false ? {} : { key: 'main' }),
      },
    },
  };
  const configFile = join(dir, 'pgproof.yaml');
  writeFileSync(configFile, stringify(config));
  return openHost({ configFile, host: 'db-7' });
}

/** The same with its key and repository made, and the era declared: what `init` leaves. */
export async function openShop(
  server: Pick<Cluster, 'socketDir' | 'port'>,
  dir: string,
  options: ShopOptions = {},
): Promise<ProtectedCluster> {
  const host = await shopHost(server, dir, options);
  if (options.key !== false) await generateKeyFile(join(dir, 'main.key'), options.cipher);
  await initRepository('local', host.config.repositories.local!);
  const shop = await openCluster(host, 'shop');
  if (options.era !== false)
    await declareEra(
      shop.repository,
      shop,
      'shop',
      await inspectServer({ ...shop.config.connection, user: 'postgres' }),
    );
  return shop;
}
