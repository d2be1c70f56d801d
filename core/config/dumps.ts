import * as z from 'zod';
import { databaseName, dumpOptionFields, dumpOptions } from '../dump.ts';
import { absolutePath } from './values.ts';

export const dumps = z
  .strictObject({
    databases: z
      .union([z.literal('all'), z.array(databaseName).min(1)])
      .default('all')
      .describe('Which databases `dump` takes: `all` that allow connections and are no templates, or these.'),
    ...dumpOptionFields,
    perDatabase: z
      .record(databaseName, dumpOptions)
      .default({})
      .describe('Other options for single databases; what is not given there is as for all.'),
    prefer: z
      .enum(['primary', 'standby'])
      .optional()
      .describe('Where dumps are taken. Default: as backups are (`prefer` of the cluster).'),
    export: z
      .strictObject({
        folder: absolutePath.describe('A folder of this host.'),
        layout: z
          .enum(['files', 'tiers'])
          .default('files')
          .describe(
            '`files`: `<database>_<time>_<host>.dump`, its `.sha256` and `_globals.sql`; `tiers`: `<tier>/<tier>_<time>.sql.gz` of plain SQL, encrypted for openssl where the key is of an AES-CBC cipher.',
          ),
      })
      .optional()
      .describe(
        'Every dump is written here, too, as ordinary files in the clear, once it is in the repository. Nothing is ever deleted here.',
      ),
  })
  .superRefine(({ export: written, format, perDatabase }, context) => {
    if (written?.layout !== 'tiers') return;
    const others = Object.entries(perDatabase).filter(([, options]) => (options.format ?? format) !== 'plain');
    if (format === 'plain' && others.length === 0) return;
    const where = format === 'plain' ? ` of database '${others[0]?.[0]}'` : '';
    const message = `layout 'tiers' holds plain SQL: it needs format 'plain'${where}`;
    context.addIssue({ code: 'custom', path: ['export', 'layout'], message });
  })
  .describe('Logical dumps: which databases, and how.');
