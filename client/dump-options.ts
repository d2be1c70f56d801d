import { type Command, InvalidArgumentError, Option } from 'commander';
import type * as z from 'zod';
import { compressionPattern, dumpFormats } from '../core/dump.ts';
import { PgproofError } from '../core/errors.ts';
import { type DumpRequest, dumpRequest } from '../core/request.ts';

/** What `dump` can be asked for, beside what every operation can. */
export const dumpFlags = (command: Command): Command =>
  command
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
    .addOption(new Option('--layout <layout>', 'of --export; default files').choices(['files', 'tiers']));

/**
 * What the flags ask for. Checked here as the workflow does it, before anything is started.
 * @throws {PgproofError} `usage`, quoting what is wrong.
 */
export function dumpRequestOf(
  options: Record<string, unknown>,
  cluster: string,
): Omit<DumpRequest, 'reason' | 'requestedBy'> {
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

/** Options that are called otherwise in a request. */
const flags: Record<string, string> = {
  databases: 'database',
  tables: 'table',
  excludeTables: 'excludeTable',
  schemas: 'schema',
  excludeSchemas: 'excludeSchema',
};

/** As typed, without what the hint adds. */
export function flagsOf(options: Record<string, unknown>): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    if (value === undefined || ['config', 'host', 'json', 'detach', 'offline', 'wait'].includes(key)) return [];
    const name =
      key === 'Z'
        ? '-Z'
        : `--${value === false ? 'no-' : ''}${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (typeof value === 'boolean') return value && ['owner', 'privileges', 'globals'].includes(key) ? [] : [name];
    const values =
      key === 'Z' ? [value === 'none' ? '0' : String(value).replace('gzip:', '')] : [value].flat().map(String);
    return values.flatMap((each) => [name, each]);
  });
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
