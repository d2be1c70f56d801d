import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { openPlannedFile, seenAt } from '../activities/planned.ts';
import { databaseName } from '../core/dump.ts';
import { PgproofError } from '../core/errors.ts';
import { confirmPlan, nameToSay, needsConfirmation, refuseUnconfirmed } from '../dump/restore/confirm.ts';
import { listDump } from '../dump/restore/list.ts';
import type { DumpRestoreOptions } from '../dump/restore/options.ts';
import { planDumpRestore, type RestoreServer } from '../dump/restore/plan.ts';
import type { AnyDumpPlan, PlanMode } from '../dump/restore/plan-record.ts';
import { loadDumpPlan } from '../dump/restore/plans.ts';
import { type DumpSource, dumpSource } from '../dump/restore/source.ts';
import { planWholeRestore } from '../dump/restore/whole/plan.ts';
import { clusterConfig } from '../host/lookup.ts';
import { cbcCiphers } from '../import/peel.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { findDumpIn } from '../repository/merged.ts';
import { passphraseOptions, passphrasePlace } from './passphrase.ts';
import { renderDumpPlan, renderWholePlan } from './restore-text.ts';
import type { Answer, Session } from './session.ts';

/** What `restore plan` can be told of a dump. */
export function dumpPlanOptions(command: Command): Command {
  const each = (text: string, before: string[] = []): string[] => [...before, text];
  return passphraseOptions(
    command
      .option('--dump <id|file>', 'restore a dump in place of files: its id, or a file (a path with a /)')
      .option(
        '--database <name>',
        'of a dump: the database to be; it must not exist. A dump of the globals or of a whole server has none',
      )
      .option('--server <cluster>', "of a dump: the server of another cluster of this host; default: the cluster's own")
      .option('--user <role>', "of a dump: connect as this role; default: the configuration's")
      .option('--existing', 'the database is there: it must be empty, unless only a part is restored')
      .addOption(new Option('--clean', 'with --existing: what the dump has is dropped in it first').conflicts('create'))
      .option('--create', 'with --existing: a new one takes its place at the end; the old one is renamed')
      .option('--table <name>', 'of a dump: only this table; may be repeated', each)
      .option('--schema <name>', 'of a dump: only this schema; may be repeated', each)
      .option('--list', 'only print what is in the dump, for --select')
      .option('--select <file>', 'of a dump: what this edited list names, in its order')
      .addOption(new Option('--schema-only', 'of a dump: definitions without rows').conflicts('dataOnly'))
      .option('--data-only', 'of a dump: rows without definitions')
      .option('-j, --jobs <number>', 'of a dump: so many sessions at once; default 2; 1 needs no copy of it', jobs)
      .option('--owner <role>', 'of a dump: this role owns everything')
      .option('--no-owner', 'of a dump: who restores owns everything')
      .option('--no-privileges', 'of a dump: without grants')
      .addOption(
        new Option(
          '--globals [which]',
          'of a dump: with the roles that the server lacks; `replace`: also those that differ',
        )
          .choices(['missing', 'replace'])
          .preset('missing'),
      )
      .option('--single-transaction', 'of a dump: all or nothing, by one session'),
    ', of a file',
  ).addOption(new Option('--cipher <cipher>', 'of a file; default: the one that fits').choices(cbcCiphers));
}

/** @throws {PgproofError} `usage`, what `planDumpRestore` throws. */
export async function planDump(session: Session, name: string): Promise<Answer> {
  const { options, run } = session;
  const asked = options.dump as string;
  refuseMixed(options);
  const cluster = await session.cluster(name);
  const server = await serverOf(session, name);
  const dump = asked.includes('/') ? await fileOf(session, asked) : { id: asked };
  if (options.list === true) {
    const list = await listDump(cluster, server.config.tools, await sourceOf(cluster, dump, session), run);
    return { json: { cluster: name, dump: asked, list: list.split('\n') }, text: list.trimEnd() };
  }
  const user = (options.user as string | undefined) ?? null;
  if (options.database === undefined) {
    refuseOfDatabases(options);
    const globals = (options.globals as 'missing' | 'replace' | undefined) ?? 'missing';
    const plan = await planWholeRestore(cluster, server, { dump, globals, user }, run);
    return { json: plan, text: renderWholePlan(plan) };
  }
  const request = {
    dump,
    database: databaseOf(options.database),
    mode: modeOf(options),
    options: await optionsOf(options),
    user,
  };
  const plan = await planDumpRestore(cluster, server, request, run);
  return { json: plan, text: renderDumpPlan(plan) };
}

/**
 * A plan that changes a database which is there starts once somebody has said its name: by --confirm, or on the terminal.
 * @throws {PgproofError} `restore-unconfirmed`
 */
export async function confirmOnHost(session: Session, name: string, planId: string): Promise<void> {
  const cluster = await session.cluster(name);
  const plan = await loadDumpPlan(cluster, planId);
  if (plan === null || !needsConfirmation(plan)) return;
  const said = (session.options.confirm as string | undefined) ?? (await typed(session, questionOf(plan)));
  if (said === null) refuseUnconfirmed(plan);
  else await confirmPlan(cluster, plan, said, session.requestedBy);
}

const questionOf = (plan: AnyDumpPlan): string =>
  plan.kind === 'dump'
    ? `This changes the database '${nameToSay(plan)}', which is there. Type its name: `
    : `This restores a whole server into that of the cluster '${nameToSay(plan)}'. Type its name: `;

async function typed({ json, signal }: Session, question: string): Promise<string | null> {
  if (json || !process.stdin.isTTY) return null;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question, { signal });
  } finally {
    terminal.close();
  }
}

function refuseMixed(options: Session['options']): void {
  const physical = ['to', 'into', 'backup', 'timeline'].filter((option) => options[option] !== undefined);
  if (physical.length > 0)
    throw new PgproofError('usage', `--dump and --${physical[0]} exclude each other: a dump is restored as it is`, {
      hint: 'A point in time needs a base backup: leave --dump away.',
    });
  const needsExisting = ['clean', 'create'].find((option) => options[option] === true);
  if (needsExisting !== undefined && options.existing !== true)
    throw new PgproofError('usage', `--${needsExisting} needs --existing`);
}

async function serverOf(session: Session, cluster: string): Promise<RestoreServer> {
  const name = (session.options.server as string | undefined) ?? cluster;
  return { name, config: clusterConfig(await session.host(), name) };
}

type Chosen = Parameters<typeof planDumpRestore>[2]['dump'];

async function fileOf(session: Session, path: string): Promise<Chosen> {
  const cipher = (session.options.cipher as string | undefined) ?? null;
  const file = { path: resolve(path), passphrase: passphrasePlace(session), cipher };
  const source = await openPlannedFile(file);
  return { file: { ...file, seen: await seenAt(file.path) }, source };
}

async function sourceOf(cluster: ProtectedCluster, dump: Chosen, { signal }: Session): Promise<DumpSource> {
  if ('file' in dump) return dump.source;
  const record = await findDumpIn(cluster.repositories, cluster.keys, cluster.name, dump.id, { signal });
  return dumpSource(cluster, record);
}

/** What pg_dumpall wrote is run as it is. */
function refuseOfDatabases(options: Session['options']): void {
  const ofDatabases = ['existing', 'table', 'schema', 'select', 'schemaOnly', 'dataOnly', 'jobs', 'owner'];
  const given = [...ofDatabases, 'singleTransaction'].find((option) => options[option] !== undefined);
  const stray = given ?? (options.privileges === false ? 'no-privileges' : undefined);
  if (stray === undefined) return;
  const typed = stray.replace(/[A-Z]/g, (sign) => `-${sign.toLowerCase()}`);
  throw new PgproofError('usage', `--${typed} needs --database NAME: say which database to restore into`, {
    hint: 'Without it, the globals of a server or a whole server are restored as they were dumped.',
  });
}

function databaseOf(database: unknown): string {
  const parsed = databaseName.safeParse(database);
  if (parsed.success) return parsed.data;
  throw new PgproofError('usage', `--database '${database}': ${parsed.error.issues[0]?.message}`);
}

function modeOf({ existing, clean, create, dataOnly, table, schema, select }: Session['options']): PlanMode {
  if (existing !== true) return 'new';
  if (clean === true) return 'clean';
  if (create === true) return 'replace';
  const isPart = dataOnly === true || table !== undefined || schema !== undefined || select !== undefined;
  return isPart ? 'add' : 'existing';
}

async function optionsOf(options: Session['options']): Promise<DumpRestoreOptions> {
  const { owner, globals, select } = options as {
    owner?: string | boolean;
    globals?: 'missing' | 'replace';
    select?: string;
  };
  return {
    content: options.schemaOnly === true ? 'schema' : options.dataOnly === true ? 'data' : 'all',
    tables: (options.table as string[] | undefined) ?? [],
    schemas: (options.schema as string[] | undefined) ?? [],
    select: select === undefined ? null : await readList(select),
    jobs: options.jobs as number | undefined,
    owner: typeof owner === 'string' ? { role: owner } : owner === false ? 'none' : 'dump',
    privileges: options.privileges !== false,
    globals: globals ?? 'none',
    singleTransaction: options.singleTransaction === true,
  };
}

/** A list of half a million objects is smaller. */
const longestList = 64 * 1024 * 1024;

async function readList(path: string): Promise<string> {
  try {
    if ((await stat(path)).size > longestList) throw new Error(`it is larger than ${longestList} bytes`);
    const text = await readFile(path, 'utf8');
    if (/^\s*\d+;/m.test(text)) return text;
  } catch (cause) {
    throw new PgproofError('usage', `--select '${path}' cannot be read: ${(cause as Error).message}`, { cause });
  }
  throw new PgproofError('usage', `--select '${path}' selects nothing`, {
    hint: 'Its lines are those of --list: take out what is not wanted, or put a ; before it.',
  });
}

function jobs(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new InvalidArgumentError('a number from 1 to 64.');
}
