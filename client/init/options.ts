import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ConnectionConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import { parseName } from '../../core/names.ts';
import { loadConfig } from '../../host/config.ts';
import { ownHostName } from '../../host/host.ts';
import { readKeyFile } from '../../repository/key-file.ts';
import type { KeyCipher } from '../../repository/keys.ts';
import { type OldScripts, readOldScripts } from './from-env.ts';
import { passwordFile } from './old.ts';
import type { InitPlan } from './plan.ts';
import { type RepositoryOptions, repositorySection } from './repository.ts';

export type InitOptions = RepositoryOptions & {
  config?: string;
  host?: string;
  socket?: string;
  address?: string;
  port?: number;
  user?: string;
  database?: string;
  role?: string;
  key?: string | boolean;
  cipher?: KeyCipher;
  size?: number;
  rpo?: number;
  rto?: number;
  fromEnv?: string;
};

/** What init was asked for: the flags, then the old scripts' settings, then what is usual. Touches nothing. */
export async function readOptions(options: InitOptions, name: string): Promise<InitPlan> {
  const cluster = parseName('cluster', name);
  const configFile = resolve(options.config ?? 'pgproof.yaml');
  const folder = dirname(configFile);
  const isThere = existsSync(configFile);
  const known = isThere ? (await loadConfig(configFile)).clusters[name]?.connection : undefined;
  const old = await oldScripts(options, { cluster, configFile, isThere });
  const where = {
    ...whereOf(options, old, known),
    port: options.port ?? old?.port ?? known?.port ?? 5432,
    database: options.database ?? known?.database ?? 'postgres',
  };
  const password = old?.password === undefined ? {} : { password: { file: join(folder, passwordFile(cluster)) } };
  if (options.cipher !== undefined)
    await refuseCipher(options.cipher, options, cluster, { configFile, isKnown: known !== undefined });
  const isSealed =
    options.key !== false &&
    (typeof options.key === 'string' || options.cipher !== undefined || old?.encrypted !== false);
  return {
    cluster,
    host: parseName('host', options.host ?? ownHostName()),
    configFile,
    isKnown: known !== undefined,
    look: lookOf(options, where, old, known),
    password: old?.password ?? null,
    connection: { ...where, user: options.role ?? old?.user ?? 'pgproof', ...password },
    repositories: options.repository === undefined && old !== null ? old.repositories : [repositorySection(options)],
    keyFile: isSealed ? keyFileOf(options, folder, cluster) : null,
    cipher: options.cipher ?? old?.cipher ?? 'aes-256-gcm',
    needs: {
      ...(options.size === undefined ? {} : { bytes: options.size }),
      ...(options.rpo === undefined ? {} : { rpo: options.rpo }),
      ...(options.rto === undefined ? {} : { rto: options.rto }),
    },
    secrets: old?.secrets ?? [],
    old: old === null ? null : { file: resolve(options.fromEnv as string), ...old },
  };
}

const keyFileOf = ({ key }: InitOptions, folder: string, cluster: string): string =>
  resolve(typeof key === 'string' ? key : join(folder, `${cluster}.key`));

/** A key that is there is never made anew, and what it seals with is nobody's to guess. */
async function refuseCipher(
  cipher: KeyCipher,
  options: InitOptions,
  cluster: string,
  { configFile, isKnown }: { configFile: string; isKnown: boolean },
): Promise<void> {
  const refused = (why: string, hint: string) =>
    new PgproofError('usage', `--cipher '${cipher}' cannot be: ${why}`, { facts: { cipher }, hint });
  if (options.key === false) throw refused('--no-key is given, too', 'Give one of the two.');
  const path = keyFileOf(options, dirname(configFile), cluster);
  if (!isKnown && !existsSync(path)) return;
  const rotate = 'A key moves to another cipher with: pgproof key rotate NAME --cipher CIPHER';
  if (isKnown) throw refused(`'${configFile}' has the cluster '${cluster}', and rules`, rotate);
  const is = (await readKeyFile(path)).current?.cipher;
  if (is !== cipher)
    throw refused(
      `the key file '${path}' is there, and seals with ${is}`,
      `${rotate}. Or name another file: --key FILE`,
    );
}

async function oldScripts(
  options: InitOptions,
  { cluster, configFile, isThere }: { cluster: string; configFile: string; isThere: boolean },
): Promise<OldScripts | null> {
  const { fromEnv, socket, ...given } = options;
  if (fromEnv === undefined) return null;
  if (options.role !== undefined)
    throw new PgproofError('usage', '--role and --from-env exclude each other: the role of the scripts is taken over', {
      hint: 'For a role with fewer rights, change connection.user afterwards and run init again: it prints the SQL.',
    });
  if (isThere)
    throw new PgproofError('config-exists', `'${configFile}' is there, and --from-env writes a new one`, {
      facts: { path: configFile },
      hint: 'Write it elsewhere with --config FILE, and bring over what is missing here. Without --from-env, init goes on with what is there.',
    });
  const flags = Object.entries({ ...given, address: given.address ?? socket }).filter(
    ([, value]) => value !== undefined,
  );
  return readOldScripts(resolve(fromEnv), {
    cluster,
    folder: dirname(configFile),
    flags: new Set(flags.map(([name]) => name)),
  });
}

/** As somebody who surely gets in: before the role is made a configuration that is there may name one that nobody has yet. */
function lookOf(
  { user }: InitOptions,
  where: Omit<ConnectionConfig, 'user'>,
  old: OldScripts | null,
  known: ConnectionConfig | undefined,
): ConnectionConfig {
  if (user === undefined && known?.password !== undefined)
    return { ...where, user: known.user, password: known.password };
  return { ...where, user: user ?? old?.user ?? 'postgres' };
}

type Where = Pick<ConnectionConfig, 'socket' | 'host'>;

/** What was asked for; otherwise where the old scripts, or a configuration that is there, have the server. */
function whereOf({ socket, address }: InitOptions, old: OldScripts | null, known: Where | undefined): Where {
  if (address !== undefined) return { host: address };
  if (socket !== undefined) return { socket: resolve(socket) };
  if (old?.where !== undefined) return old.where;
  return known?.host === undefined ? { socket: resolve(known?.socket ?? '/var/run/postgresql') } : { host: known.host };
}
