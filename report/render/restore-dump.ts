import * as z from 'zod';
import { formatBytes, formatSeconds } from '../../core/format.ts';
import { drillCheckResult, phase } from '../../core/report.ts';
import { closingSections, countedRow, phasesSection, secondsOf } from './restored.ts';
import { fields, list, section } from './text.ts';

/** What is shown of the restore of a dump; dump/restore/result.ts says what else is in it. */
const shown = z.object({
  kind: z.literal('dump'),
  planId: z.string(),
  dump: z.string(),
  sourceDatabase: z.string().nullable(),
  database: z.string(),
  server: z.string(),
  serverVersion: z.string(),
  tool: z.string(),
  jobs: z.number(),
  plainBytes: z.number(),
  phases: z.array(phase),
  tables: z.object({ found: z.number(), expected: z.number().nullable() }),
  largest: z.array(z.object({ schema: z.string(), table: z.string(), rows: z.number().nullable() })),
  checks: z.array(drillCheckResult),
  conflicts: z.array(z.string()),
  replaced: z.string().nullable(),
  notes: z.array(z.string()),
});

/** Undefined: it is no restore of a dump. */
export function renderDumpRestore(result: Record<string, unknown>): string | undefined {
  const parsed = shown.safeParse(result);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  const { found, expected } = data.tables;
  const rows = data.largest.map((each) => countedRow(each));
  return [
    fields([
      ['plan', data.planId],
      [
        'dump',
        `${data.dump}${data.sourceDatabase === null ? '' : `, of ${data.sourceDatabase}`}, ${formatBytes(data.plainBytes)}`,
      ],
      ['database', `${data.database}, on the server of ${data.server} (PostgreSQL ${data.serverVersion})`],
      ...(data.replaced === null ? [] : [['before', `what was there is now called ${data.replaced}`] as const]),
      ['by', `${data.tool}${data.jobs > 1 ? `, ${data.jobs} jobs` : ''}`],
      ['tables', expected === null ? `${found}` : `${found}; the dump makes ${expected}, and all of them are there`],
      ['time', formatSeconds(secondsOf(data.phases))],
    ]),
    phasesSection(data.phases),
    section('largest tables', list(rows)),
    ...closingSections(data),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}
