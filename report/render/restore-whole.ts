import * as z from 'zod';
import { formatBytes, formatSeconds } from '../../core/format.ts';
import { drillCheckResult, phase } from '../../core/report.ts';
import { closingSections, countedRow, phasesSection, secondsOf } from './restored.ts';
import { fields, list, section } from './text.ts';

/** What is shown of the restore of a server's globals, or of a whole server; dump/restore/result.ts says what else is in it. */
const shown = z.object({
  kind: z.literal('whole'),
  of: z.enum(['globals', 'cluster']),
  planId: z.string(),
  dump: z.string(),
  server: z.string(),
  serverVersion: z.string(),
  tool: z.string(),
  plainBytes: z.number(),
  phases: z.array(phase),
  roles: z.array(z.string()),
  databases: z.array(
    z.object({
      name: z.string(),
      tables: z.number(),
      largest: z.array(z.object({ schema: z.string(), table: z.string(), rows: z.number().nullable() })),
    }),
  ),
  checks: z.array(drillCheckResult),
  conflicts: z.array(z.string()),
  notes: z.array(z.string()),
});

/** Undefined: it is no such restore. */
export function renderWholeRestore(result: Record<string, unknown>): string | undefined {
  const parsed = shown.safeParse(result);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  const rows = data.databases.flatMap(({ name, largest }) => largest.map((each) => countedRow(each, `${name}: `)));
  return [
    fields([
      ['plan', data.planId],
      [
        'dump',
        `${data.dump}, ${data.of === 'globals' ? 'the globals' : 'a whole server'}, ${formatBytes(data.plainBytes)}`,
      ],
      ['server', `that of ${data.server} (PostgreSQL ${data.serverVersion})`],
      ['by', data.tool],
      ['roles made', data.roles.length === 0 ? 'none' : data.roles.join(', ')],
      ['time', formatSeconds(secondsOf(data.phases))],
    ]),
    phasesSection(data.phases),
    section('databases', list(data.databases.map(({ name, tables }) => [name, `${tables} tables`]))),
    section('largest tables', list(rows)),
    ...closingSections(data),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}
