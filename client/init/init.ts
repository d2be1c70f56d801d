import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { propose } from '../../check/propose.ts';
import type { ConnectionConfig } from '../../core/config.ts';
import { hasCode } from '../../core/errors.ts';
import { parseName } from '../../core/names.ts';
import { openCluster } from '../../host/cluster.ts';
import { loadConfig } from '../../host/config.ts';
import { openHost, ownHostName } from '../../host/host.ts';
import { type ProtectedCluster, repositoriesToWrite } from '../../postgres/cluster.ts';
import { inspectServer, type ServerFacts } from '../../postgres/server.ts';
import { declareEraInAll, requireEra } from '../../repository/eras.ts';
import { generateKeyFile } from '../../repository/key-file.ts';
import { initRepository } from '../../repository/repository.ts';
import { createLogger } from '../logger.ts';
import { type Answer, type Session, verb } from '../session.ts';
import { configText, writeConfigOnce } from './config.ts';
import type { InitPlan, Setup } from './plan.ts';
import { repositorySection } from './repository.ts';
import { renderSetup } from './text.ts';

export const initVerb = (): Command =>
  new Command('init')
    .description(
      'looks at a server, writes a configuration, makes key and repository, and prints what a superuser has to do; changes nothing in the server',
    )
    .argument('<cluster>', 'the name it shall have here')
    .option(
      '--socket <dir>',
      "folder of the server's Unix socket; default: the configuration's, otherwise /var/run/postgresql",
    )
    .option('--address <host>', 'host name or address, in place of a socket')
    .option('--port <number>', "port of the server; default: the configuration's, otherwise 5432", port)
    .option('--user <name>', 'role to look at the server with, this once', 'postgres')
    .option(
      '--database <name>',
      "database that shall hold schema pgproof; default: the configuration's, otherwise postgres",
    )
    .option('--role <name>', 'role that pgproof shall work as', 'pgproof')
    .option(
      '--repository <place>',
      'where backups and WAL go: a folder, oss://bucket/prefix or s3://bucket/prefix; default: repository, in the state folder',
    )
    .option('--region <region>', 'region of the bucket')
    .option('--endpoint <address>', 'address of the store, where it is not the usual one')
    .option('--path-style', 'bucket in the path, as many self-hosted stores need it')
    .option('--key <path>', 'key file; made when it is not there; default: beside the configuration')
    .option('--no-key', 'no encryption and no authentication')
    .action(verb(init));

/** Asks the server first: a server that cannot be reached leaves nothing behind. Running it twice changes nothing. */
async function init(session: Session, name: string): Promise<Answer> {
  const plan = await readOptions(session, name);
  const facts = await inspectServer(plan.connection, { signal: session.signal });
  await writeConfigOnce(plan.configFile, configText(plan), name);
  const cluster = await openWithKeyAndRepository(plan, session.signal);
  const era = await declaredEra(cluster, facts);
  const setup: Setup = {
    cluster: name,
    configFile: plan.configFile,
    keyFile: plan.keyFile,
    repository: cluster.repository.location,
    era,
    server: facts.versionText,
    ...propose(cluster, facts),
  };
  return { json: setup, text: renderSetup(setup) };
}

async function readOptions({ options }: Session, name: string): Promise<InitPlan> {
  const configFile = resolve((options.config as string | undefined) ?? 'pgproof.yaml');
  const known = existsSync(configFile) ? (await loadConfig(configFile)).clusters[name]?.connection : undefined;
  const { socket, address } = options as { socket?: string; address?: string };
  const key = options.key as string | boolean | undefined;
  return {
    cluster: parseName('cluster', name),
    host: parseName('host', (options.host as string | undefined) ?? ownHostName()),
    configFile,
    connection: {
      ...whereOf({ socket, address }, known),
      port: (options.port as number | undefined) ?? known?.port ?? 5432,
      user: options.user as string,
      database: (options.database as string | undefined) ?? known?.database ?? 'postgres',
    },
    role: options.role as string,
    repository: repositorySection(options),
    keyFile: key === false ? null : resolve(typeof key === 'string' ? key : join(dirname(configFile), `${name}.key`)),
  };
}

type Where = Pick<ConnectionConfig, 'socket' | 'host'>;

/** What was asked for; otherwise where a configuration that is there has the server. */
function whereOf({ socket, address }: { socket?: string; address?: string }, known: Where | undefined): Where {
  if (address !== undefined) return { host: address };
  if (socket === undefined && known?.host !== undefined) return { host: known.host };
  return { socket: resolve(socket ?? known?.socket ?? '/var/run/postgresql') };
}

/** From here on the file rules, also where it was there before and says something else than the options. */
async function openWithKeyAndRepository(plan: InitPlan, signal: AbortSignal): Promise<ProtectedCluster> {
  const host = await openHost({ configFile: plan.configFile, host: plan.host, env: process.env, log: createLogger() });
  const config = host.config.clusters[plan.cluster];
  for (const key of [config?.key, config?.walKey]) {
    if (key !== undefined) await ensureKeyFile(host.config.keys[key]?.file as string);
  }
  for (const name of config?.repositories ?? [])
    await initRepository(name, host.config.repositories[name]!, { signal });
  return openCluster(host, plan.cluster, { signal });
}

async function ensureKeyFile(path: string): Promise<void> {
  try {
    await generateKeyFile(path);
  } catch (error) {
    if (!hasCode(error, 'key-file-exists')) throw error;
  }
}

async function declaredEra(cluster: ProtectedCluster, facts: ServerFacts): Promise<string> {
  try {
    return (await declareEraInAll(repositoriesToWrite(cluster), cluster, cluster.name, facts)).era.era;
  } catch (error) {
    if (!hasCode(error, 'era-exists')) throw error;
    return (await requireEra(cluster.repository, cluster.name)).era;
  }
}

function port(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  throw new InvalidArgumentError('a port is a number from 1 to 65535.');
}
