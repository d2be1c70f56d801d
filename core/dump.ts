import * as z from 'zod';

/* What a dump can be. The same options stand in the configuration, for all databases or for one, and in a request. */

export const dumpFormats = ['custom', 'directory', 'tar', 'plain'] as const;
export type DumpFormat = (typeof dumpFormats)[number];

export const dumpContents = ['all', 'schema', 'data'] as const;

/** What is dumped where no database is: the globals alone, or the whole server by pg_dumpall. */
export const dumpKinds = ['database', 'globals', 'cluster'] as const;
export type DumpKind = (typeof dumpKinds)[number];

/** NAMEDATALEN - 1, in bytes; PostgreSQL's own tools refuse line ends in a name. */
export const databaseName = z
  .string()
  .min(1, 'not empty')
  .refine((text) => new TextEncoder().encode(text).length <= 63, 'at most 63 bytes')
  .refine((text) => !/[\0\r\n]/.test(text), 'without line ends')
  .meta({ title: 'name of a database' });

const pattern = z
  .string()
  .min(1, 'not empty')
  .max(500, 'at most 500 characters')
  .refine((text) => !/[\0\r\n]/.test(text), 'without line ends');
const patterns = (what: string, flag: string) => z.array(pattern).min(1).optional().describe(`${what} (${flag}).`);

export const compressionPattern = /^(?:auto|none|gzip:[0-9]|zstd:(?:[1-9]|1\d|2[0-2]))$/;

/** Each may be absent: a request stands above the options of its database, these above those of all, these above the defaults. */
export const dumpOptionFields = {
  format: z
    .enum(dumpFormats)
    .optional()
    .describe(
      '`custom`: one stream that pg_restore can select from; `directory`: by several jobs at once; `tar`; `plain`: SQL for psql. Default: custom.',
    ),
  content: z.enum(dumpContents).optional().describe('Everything, the schema only, or the data only. Default: all.'),
  jobs: z
    .number()
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe('Tables dumped at once, format directory only. Default: 2.'),
  compression: z
    .string()
    .regex(compressionPattern, 'auto, none, gzip:0 to gzip:9, or zstd:1 to zstd:22')
    .optional()
    .describe(
      "pg_dump's own, of custom and directory: `auto` is zstd where pg_dump has it, otherwise gzip. All that is stored is compressed with zstd anyway. Default: auto.",
    ),
  tables: patterns('Only tables that fit one of these patterns', '--table'),
  excludeTables: patterns('No table that fits one of these patterns', '--exclude-table'),
  excludeTableData: patterns('Of tables that fit one of these patterns only the definition', '--exclude-table-data'),
  schemas: patterns('Only schemas that fit one of these patterns', '--schema'),
  excludeSchemas: patterns('No schema that fits one of these patterns', '--exclude-schema'),
  owner: z.boolean().optional().describe('With the commands that set owners; false is --no-owner. Default: true.'),
  privileges: z.boolean().optional().describe('With grants; false is --no-privileges. Default: true.'),
  encoding: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]{0,31}$/, 'the name of an encoding, such as UTF8')
    .optional()
    .describe("Encoding of the dump. Default: the database's."),
  globals: z
    .boolean()
    .optional()
    .describe('With the roles, tablespaces and settings of the server, which restores may apply. Default: true.'),
};

export const dumpOptions = z.strictObject(dumpOptionFields);
export type DumpOptions = z.output<typeof dumpOptions>;

/** All of them decided, for one database. */
export type DecidedDump = Required<
  Omit<DumpOptions, 'tables' | 'excludeTables' | 'excludeTableData' | 'schemas' | 'excludeSchemas' | 'encoding'>
> &
  Record<'tables' | 'excludeTables' | 'excludeTableData' | 'schemas' | 'excludeSchemas', readonly string[]> & {
    encoding: string | null;
  };

/** @param layers the strongest first. */
export function decideDump(...layers: readonly DumpOptions[]): DecidedDump {
  const first = <K extends keyof DumpOptions>(key: K): DumpOptions[K] =>
    layers.map((layer) => layer[key]).find((value) => value !== undefined && value !== null);
  return {
    format: first('format') ?? 'custom',
    content: first('content') ?? 'all',
    jobs: first('jobs') ?? 2,
    compression: first('compression') ?? 'auto',
    tables: first('tables') ?? [],
    excludeTables: first('excludeTables') ?? [],
    excludeTableData: first('excludeTableData') ?? [],
    schemas: first('schemas') ?? [],
    excludeSchemas: first('excludeSchemas') ?? [],
    owner: first('owner') ?? true,
    privileges: first('privileges') ?? true,
    encoding: first('encoding') ?? null,
    globals: first('globals') ?? true,
  };
}
