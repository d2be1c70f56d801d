import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import * as z from 'zod';
import { propose } from '../../check/propose.ts';
import { ciphers } from '../../codec/sealing.ts';
import { asPgproofError, hasCode, type PgproofError } from '../../core/errors.ts';
import { chooseStrategy } from '../../core/strategy/choose.ts';
import type { Needs, Strategy } from '../../core/strategy/strategy.ts';
import { openCluster } from '../../host/cluster.ts';
import { parseConfig } from '../../host/config.ts';
import { openHost } from '../../host/host.ts';
import { query, type SqlClient, withClient } from '../../postgres/client.ts';
import { type ProtectedCluster, repositoriesToWrite } from '../../postgres/cluster.ts';
import { inspectSession, type ServerFacts } from '../../postgres/server.ts';
import { databaseBytes } from '../../postgres/size.ts';
import { declareEraInAll, requireEra } from '../../repository/eras.ts';
import { generateKeyFile } from '../../repository/key-file.ts';
import type { KeyCipher } from '../../repository/keys.ts';
import { initRepository } from '../../repository/repository.ts';
import { createLogger } from '../logger.ts';
import { type Answer, type Session, verb } from '../session.ts';
import { configText, writeConfigOnce } from './config.ts';
import { completeNeeds, objectiveFlag, sizeFlag } from './needs.ts';
import { type InitOptions, readOptions } from './options.ts';
import { withOwnRole } from './own-role.ts';
import type { InitPlan, Setup } from './plan.ts';
import { writeSecretsOnce } from './secrets.ts';
import { leftOf, readStanding } from './standing.ts';
import { renderOldSettings, renderSetup } from './text.ts';

export const initVerb = (): Command =>
  new Command('init')
    .description(
      'looks at a server, writes a configuration with a strategy for its size, RPO and RTO (asked for on a terminal), makes key and repository, and prints what a superuser has to do; changes nothing in the server',
    )
    .argument('<cluster>', 'the name it shall have here')
    .option(
      '--socket <dir>',
      "folder of the server's Unix socket; default: the configuration's, otherwise /var/run/postgresql",
    )
    .option('--address <host>', 'host name or address, in place of a socket')
    .option('--port <number>', "port of the server; default: the configuration's, otherwise 5432", port)
    .option('--user <name>', 'role to look at the server with, this once; default: postgres')
    .option(
      '--database <name>',
      "database that shall hold schema pgproof; default: the configuration's, otherwise postgres",
    )
    .option('--role <name>', 'role that pgproof shall work as; default: pgproof')
    .option(
      '--repository <place>',
      'where backups and WAL go: a folder, oss://bucket/prefix or s3://bucket/prefix; default: repository, in the state folder',
    )
    .option('--region <region>', 'region of the bucket')
    .option('--endpoint <address>', 'address of the store, where it is not the usual one')
    .option('--path-style', 'bucket in the path, as many self-hosted stores need it')
    .option('--key <path>', 'key file; made when it is not there; default: beside the configuration')
    .addOption(new Option('--cipher <name>', 'what a new key seals with; default: aes-256-gcm').choices(ciphers))
    .option('--no-key', 'no encryption and no authentication')
    .option(
      '--size <size>',
      'of its databases, together, as they will be, such as 200GB; default: as they are',
      sizeFlag,
    )
    .option('--rpo <duration>', 'how much work may be lost, such as 5m or 1d; default: 5m', objectiveFlag)
    .option('--rto <duration>', 'how long a restore may take, such as 2h; default: no objective', objectiveFlag)
    .option('--from-env <file>', 'settings of the old backup scripts (their .env), turned into the configuration')
    .action(verb(init));

/** Asks the server first: a server that cannot be reached leaves nothing behind. Running it twice changes nothing. */
async function init(session: Session, name: string): Promise<Answer> {
  const { signal } = session;
  const asked = await readOptions(session.options as InitOptions, name);
  const { facts, bytes, superusers } = await lookAtServer(asked, signal);
  const plan = superusers.includes(asked.look.user) ? withOwnRole(asked) : asked;
  const strategy = plan.isKnown ? null : chooseStrategy(await needsOf(plan, bytes, session));
  if (strategy !== null) await writeAll(plan, strategy);
  // Before anything talks to a store: what became of the old settings must not depend on one that is away.
  if (plan.old !== null && !session.json) session.say(`${renderOldSettings(plan.old.settings)}\n`);
  const { cluster, keyFile, era } = await openAndDeclare(plan, facts, signal).catch((error: unknown) => {
    throw strategy === null ? error : halfDone(error, plan);
  });
  const standing = await readStanding(cluster, signal);
  const isSuperuser = superusers.includes(cluster.config.connection.user);
  const { repository, repositories } = cluster;
  const setup: Setup = {
    cluster: name,
    configFile: plan.configFile,
    keyFile,
    repository: repository.location,
    repositories: repositories.map(({ location }) => location),
    era,
    server: facts.versionText,
    strategy: strategy === null ? null : { name: strategy.name, why: strategy.why, notes: strategy.notes },
    secretFiles: plan.secrets.map((secret) => join(dirname(plan.configFile), secret.name)),
    oldSettings: plan.old?.settings ?? [],
    isStandby: facts.inRecovery,
    isRunning: standing.ships,
    hasHeartbeat: standing.hasHeartbeat,
    ...leftOf(propose(cluster, facts), standing, { isSuperuser, isStandby: facts.inRecovery }),
  };
  return { json: setup, text: renderSetup(setup) };
}

/** The size is measured only where a strategy needs it and no flag says it. */
async function lookAtServer(
  { look, password, isKnown, needs }: InitPlan,
  signal: AbortSignal,
): Promise<{ facts: ServerFacts; bytes: number; superusers: string[] }> {
  const before = process.env.PGPASSWORD;
  // Where every connection of this process looks for one; the file that will hold it comes after the server has answered.
  if (password !== null) process.env.PGPASSWORD = password;
  const ask = async (client: SqlClient) => ({
    facts: await inspectSession(client),
    bytes: isKnown ? 0 : (needs.bytes ?? (await databaseBytes(client))),
    superusers: (
      await query(client, 'SELECT rolname AS name FROM pg_roles WHERE rolsuper', [], z.object({ name: z.string() }))
    ).map((row) => row.name),
  });
  try {
    return await withClient(look, ask, { signal, applicationName: 'pgproof init' });
  } finally {
    if (before === undefined) delete process.env.PGPASSWORD;
    else process.env.PGPASSWORD = before;
  }
}

async function needsOf(plan: InitPlan, bytes: number, { json, signal }: Session): Promise<Needs> {
  const isTerminal = process.stdin.isTTY && process.stderr.isTTY && !json;
  const terminal = isTerminal ? { input: process.stdin, output: process.stderr, signal } : null;
  const needs = await completeNeeds(plan.needs, bytes, terminal);
  return { ...needs, offsite: plan.repositories.length > 1, scripts: plan.old?.work.scripts ?? [] };
}

/** What the schema does not take is said before anything is there. The secrets come first: the configuration names them. */
async function writeAll(plan: InitPlan, strategy: Strategy): Promise<void> {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const text = configText(plan, strategy, timeZone);
  parseConfig(`${plan.configFile}, not yet written`, text);
  await writeSecretsOnce(dirname(plan.configFile), plan.secrets);
  await writeConfigOnce(plan.configFile, text, plan.cluster);
}

type Opened = { cluster: ProtectedCluster; keyFile: string | null; era: string };

/** From here on the file rules, also where it was there before and says something else than the options. */
async function openAndDeclare(plan: InitPlan, facts: ServerFacts, signal: AbortSignal): Promise<Opened> {
  const host = await openHost({ configFile: plan.configFile, host: plan.host, env: process.env, log: createLogger() });
  const config = host.config.clusters[plan.cluster];
  for (const key of [config?.key, config?.walKey]) {
    if (key !== undefined) await ensureKeyFile(host.config.keys[key]?.file as string, plan.cipher);
  }
  for (const name of config?.repositories ?? [])
    await initRepository(name, host.config.repositories[name]!, { signal });
  const cluster = await openCluster(host, plan.cluster, { signal });
  const keyFile = config?.key === undefined ? null : (host.config.keys[config.key]?.file as string);
  return { cluster, keyFile, era: await declaredEra(cluster, facts) };
}

/** The configuration and its files are there, and the rest is not: the same verb goes on. */
function halfDone(thrown: unknown, { cluster, configFile, look, connection, password }: InitPlan): PgproofError {
  const error = asPgproofError(thrown);
  const isKept = connection.password !== undefined;
  const user = isKept || look.user === 'postgres' ? '' : ` --user ${look.user}`;
  const secret = isKept || password === null ? '' : ' (PGPASSWORD is not kept: set it)';
  const next = `'${configFile}' is written. Once this is mended, go on with: pgproof init ${cluster} --config ${configFile}${user}${secret}`;
  return error.retold({ hint: error.hint === null ? next : `${error.hint}\n${next}` });
}

async function ensureKeyFile(path: string, cipher: KeyCipher): Promise<void> {
  try {
    await generateKeyFile(path, cipher);
  } catch (error) {
    if (!hasCode(error, 'key-file-exists')) throw error;
  }
}

async function declaredEra(cluster: ProtectedCluster, facts: ServerFacts): Promise<string> {
  try {
    return (await declareEraInAll(repositoriesToWrite(cluster), cluster, facts)).era.era;
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
