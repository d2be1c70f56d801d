import { Command, InvalidArgumentError, Option } from 'commander';
import type * as z from 'zod';
import { compressionPattern, dumpFormats } from '../core/dump.ts';
import type { DumpRun } from '../core/dump-run.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import { type DumpRequest, dumpRequest } from '../core/request.ts';
import { shellQuoted } from '../core/shell.ts';
import { reportedDumps } from '../dump/run.ts';
import { renderDumps } from '../report/render/dumps.ts';
import { copyingTo, copyOut } from './dump-files.ts';
import { type Done, operateWith, type Plan, reportPlace, sharedOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const dumpVerb = (): Command =>
  sharedOptions(new Command('dump'))
    .description(
      'logical dumps, one of each database; done means verified and in the repository; exit 3 when one needs a look, such as one of half the size of the last',
    )
    .argument('<cluster>')
    .option('--tier <name>', 'label that retention goes by; default manual')
    .option('--database <name>', 'this one; may be repeated; default: those of the configuration', each)
    .addOption(new Option('--format <format>', 'default custom').choices(dumpFormats))
    .addOption(new Option('--schema-only', 'definitions without rows').conflicts('dataOnly'))
    .option('--data-only', 'rows without definitions')
    .option('--table <pattern>', 'only tables that fit; may be repeated', each)
    .option('--exclude-table <pattern>', 'no table that fits; may be repeated', each)
    .option('--exclude-table-data <pattern>', 'of tables that fit only the definition; may be repeated', each)
    .option('--schema <pattern>', 'only schemas that fit; may be repeated', each)
    .option('--exclude-schema <pattern>', 'no schema that fits; may be repeated', each)
    .option('-j, --jobs <number>', 'tables at once, of format directory; default 2', jobs)
    .addOption(new Option('-Z <level>', 'gzip by pg_dump, 0 for none').argParser(level).conflicts('compression'))
    .option('--compression <method>', 'by pg_dump: auto, none, gzip:0 to gzip:9, zstd:1 to zstd:22', compression)
    .option('--encoding <name>', "of the dump; default the database's")
    .option('--no-owner', 'without the commands that set owners')
    .option('--no-privileges', 'without grants')
    .option('--no-globals', 'without roles, tablespaces and settings of the server beside it')
    .addOption(new Option('--globals-only', 'nothing but those').conflicts(['all', 'database']))
    .addOption(new Option('--all', 'the whole server as one script, by pg_dumpall').conflicts('database'))
    .addOption(new Option('--prefer <which>', 'where it is taken').choices(['primary', 'standby']).conflicts('offline'))
    .option('--export <folder>', 'write it here afterwards, as ordinary files')
    .addOption(new Option('--layout <layout>', 'of --export; default files').choices(['files', 'tiers']))
    .action(verb(dump));

async function dump(session: Session, cluster: string): Promise<Answer> {
  const { options, run } = session;
  const request = requestOf(options, cluster);
  const copying = await copyingTo(session, cluster, request.databases?.length === 1);
  const plan: Plan<'dump', DumpRun> = {
    operation: 'dump',
    cluster,
    more: request,
    typed: `pgproof dump ${[cluster, ...flagsOf(options)].map(shellQuoted).join(' ')}`,
    offline: (opened, asked) => reportedDumps(opened, { request, workflow: null, ...asked }, run),
  };
  try {
    return await operateWith(session, plan, async (done) => {
      const ids = done.result.dumps.map(({ id }) => id);
      return answer(done, copying === null ? new Map() : await copyOut(copying, ids, session));
    });
  } catch (error) {
    // Those that were made are wanted here all the same.
    if (copying !== null && hasCode(error, 'dump-incomplete'))
      await copyOut(copying, error.facts.dumped as string[], session);
    throw error;
  }
}

/**
 * What the flags ask for. Checked here as the workflow does it, before anything is started.
 * @throws {PgproofError} `usage`, quoting what is wrong.
 */
function requestOf(options: Record<string, unknown>, cluster: string): Omit<DumpRequest, 'reason' | 'requestedBy'> {
  const off = (key: string) => (options[key] === false ? false : null);
  const parsed = dumpRequest.safeParse({
    cluster,
    tier: options.tier,
    databases: options.database,
    kind: options.globalsOnly ? 'globals' : options.all ? 'cluster' : undefined,
    prefer: options.prefer,
    format: options.format ?? (options.layout === 'tiers' ? 'plain' : undefined),
    content: options.schemaOnly ? 'schema' : options.dataOnly ? 'data' : undefined,
    jobs: options.jobs,
    compression: options.Z ?? options.compression,
    tables: options.table,
    excludeTables: options.excludeTable,
    excludeTableData: options.excludeTableData,
    schemas: options.schema,
    excludeSchemas: options.excludeSchema,
    owner: off('owner'),
    privileges: off('privileges'),
    globals: off('globals'),
    encoding: options.encoding,
  });
  if (parsed.success) {
    const { reason: _, requestedBy: __, ...request } = parsed.data;
    return request;
  }
  const [issue] = parsed.error.issues as [z.core.$ZodIssue];
  const [field] = issue.path;
  const value = JSON.stringify(
    field === undefined ? options : (options[flags[String(field)] ?? String(field)] ?? null),
  );
  throw new PgproofError('usage', `${String(field)} ${value} is not usable: ${issue.message}`, {
    hint: 'pgproof dump --help shows what each option takes.',
  });
}

/** As many as a person looks at. */
const fewReports = 5;

/** Options that are called otherwise in a request. */
const flags: Record<string, string> = {
  databases: 'database',
  tables: 'table',
  excludeTables: 'excludeTable',
  schemas: 'schema',
  excludeSchemas: 'excludeSchema',
};

/** As typed, without what the hint adds. */
function flagsOf(options: Record<string, unknown>): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    if (value === undefined || ['config', 'host', 'json', 'detach', 'offline', 'wait'].includes(key)) return [];
    const name =
      key === 'Z'
        ? '-Z'
        : `--${value === false ? 'no-' : ''}${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (typeof value === 'boolean') return value && ['owner', 'privileges', 'globals'].includes(key) ? [] : [name];
    const values = key === 'Z' ? [String(value).replace(/\D+/, '')] : [value].flat().map(String);
    return values.flatMap((each) => [name, each]);
  });
}

function answer({ host, cluster, result, temporalUrl }: Done<DumpRun>, files: Map<string, readonly string[]>): Answer {
  const dumps = result.dumps.map((row) => ({
    ...row,
    exported: [...row.exported, ...(files.get(row.id) ?? [])],
    reportFile: reportPlace(host, cluster, {
      key: row.report,
      ...(row.reportIn === null ? {} : { repository: row.reportIn }),
    }),
  }));
  const lines = dumps.slice(0, fewReports).map(({ reportFile }): [string, string] => ['report', `${reportFile}`]);
  if (dumps.length > fewReports) lines.push(['reports', `${dumps.length - fewReports} more: pgproof reports ${cluster} --operation dump`]);
  if (temporalUrl !== null) lines.push(['Temporal', temporalUrl]);
  const exitCode = dumps.some(({ findings }) => findings.length > 0) ? 3 : 0;
  return { json: { ...result, dumps }, text: renderDumps({ ...result, dumps }, lines), exitCode };
}

const each = (text: string, before: string[] = []): string[] => [...before, text];

function jobs(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new InvalidArgumentError('a number from 1 to 64.');
}

function level(text: string): string {
  if (/^[0-9]$/.test(text)) return text === '0' ? 'none' : `gzip:${text}`;
  throw new InvalidArgumentError('a level from 0 to 9.');
}

function compression(text: string): string {
  if (compressionPattern.test(text)) return text;
  throw new InvalidArgumentError('auto, none, gzip:0 to gzip:9, or zstd:1 to zstd:22.');
}
