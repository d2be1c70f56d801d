import { Command } from 'commander';
import type { Config } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import type { Report } from '../core/report.ts';
import { drillPage } from '../report/page.ts';
import { renderReport } from '../report/render.ts';
import { reportKey } from '../repository/layout.ts';
import { type ReportEntry, reportsDown } from '../repository/report-entries.ts';
import { pageOfReports, reportRows } from '../repository/report-rows.ts';
import { withSink } from '../sink/sink.ts';
import { limit, operationList, rangeOf, statusList } from './reports-options.ts';
import { openSources, type Sources } from './reports-sources.ts';
import { awayLines, renderRows } from './reports-text.ts';
import { type Answer, type Session, verb } from './session.ts';

export const reportsVerb = (): Command =>
  new Command('reports')
    .description('what every run came to, newest first, one row a run: its last attempt; needs no Temporal')
    .argument('[cluster...]', 'default: all of the configuration')
    .option('--operation <list>', 'only these: backup, dump, drill, …', operationList)
    .option('--status <list>', 'only these: success, failed, cancelled', statusList)
    .option('--since <time>', 'a time with offset or zone, or how long ago, such as 7d')
    .option('--until <time>', 'the same; without it')
    .option('--limit <number>', 'rows of a page, at most 1000', limit, 20)
    .option('--before <cursor>', 'the page behind that one: `next` of its answer')
    .option('--attempts', 'a row for each attempt')
    .option('--id <id>', 'one report in full: its id, or a beginning that only one has')
    .option('--page', 'with --id of a drill: as a page to be filed, Markdown')
    .option('--send', 'puts all that fit into the table of reportSink, whatever --limit says')
    .action(verb((session, clusters) => reports(session, clusters as unknown as string[])));

async function reports(session: Session, clusters: readonly string[]): Promise<Answer> {
  const { options } = session;
  const config = await session.config();
  const asked = rangeOf(options, new Date());
  if (options.id !== undefined && clusters.length !== 1)
    throw new PgproofError('usage', '--id needs the cluster of the report', {
      hint: 'pgproof reports shop --id 20261120T140501Z-backup-3fa94c1e',
    });
  if (options.page === true && options.id === undefined)
    throw new PgproofError('usage', '--page needs --id, the id of a drill');
  const sources = await openSources(config, clusters, session.signal);
  if (options.id !== undefined) return one(session, sources, options.id as string);
  if (options.send === true) return send(session, config, sources, asked);
  const { signal } = session;
  const page = await pageOfReports(sources.open, asked, options.limit as number, { signal, away: sources.away });
  const { away, unknown } = sources.told();
  const damaged = page.rows.some(({ state }) => state === 'damaged');
  return {
    json: { reports: page.rows.map(documentOf), next: page.next, away, unknown },
    text: [...renderRows(page), ...awayLines({ away, unknown })].join('\n'),
    exitCode: unknown.length > 0 ? 1 : damaged ? 3 : 0,
  };
}

function documentOf(entry: ReportEntry) {
  const { id, cluster, repository, state } = entry;
  return entry.state === 'whole'
    ? { ...entry.report, state, repository }
    : { id, cluster, state, repository, error: entry.error.toDocument() };
}

async function one({ signal, options }: Session, sources: Sources, prefix: string): Promise<Answer> {
  const found: ReportEntry[] = [];
  const range = { since: prefix, before: `${prefix}~` }; // behind all that begin with it
  for await (const entry of reportsDown(sources.open, range, { signal, away: sources.away })) found.push(entry);
  const [entry, ...others] = found;
  const cluster = sources.open[0]?.cluster as string;
  if (entry === undefined) {
    const { away, unknown } = sources.told();
    if (unknown.length > 0) throw sources.away.values().next().value;
    throw new PgproofError('report-missing', `there is no report '${prefix}' of cluster '${cluster}'`, {
      facts: { cluster, report: prefix, away: away.map(({ repository }) => repository) },
      hint: `See: pgproof reports ${cluster}`,
    });
  }
  if (others.length > 0)
    throw new PgproofError('report-ambiguous', `'${prefix}' begins ${found.length} reports of '${cluster}'`, {
      facts: { cluster, report: prefix, fitting: found.map(({ id }) => id) },
      hint: 'Give more of the id.',
    });
  if (entry.state === 'damaged') throw entry.error;
  const reportFile = `${sources.locationOf(entry.repository)}/${reportKey(cluster, entry.id)}`;
  if (options.page === true) return pageOf(entry.report);
  return { json: { ...entry.report, reportFile }, text: renderReport(entry.report, { reportFile }) };
}

function pageOf(report: Report): Answer {
  const page = drillPage(report);
  if (page !== null) return { json: { page }, text: page.trimEnd() };
  throw new PgproofError(
    'usage',
    `only the report of a drill has a page, and ${report.id} is of a ${report.operation}`,
    {
      facts: { report: report.id, operation: report.operation },
    },
  );
}

async function send(
  { signal, say }: Session,
  { reportSink }: Config,
  sources: Sources,
  asked: ReturnType<typeof rangeOf>,
): Promise<Answer> {
  if (reportSink === undefined)
    throw new PgproofError('usage', '--send needs reportSink, and the configuration has none', {
      hint: 'See docs/reports.md.',
    });
  const count = { sent: 0, damaged: 0 };
  await withSink(
    reportSink,
    async (put) => {
      for await (const entry of reportRows(sources.open, asked, { signal, away: sources.away })) {
        if (entry.state === 'whole') await put(entry.report);
        count[entry.state === 'whole' ? 'sent' : 'damaged'] += 1;
        if (count.sent % 1000 === 0 && entry.state === 'whole')
          say(`  ${count.sent} reports sent, down to ${entry.id}`);
      }
    },
    { signal },
  );
  const { away, unknown } = sources.told();
  const damaged = count.damaged === 0 ? '' : `; ${count.damaged} cannot be read`;
  return {
    json: { table: reportSink.table, ...count, away, unknown },
    text: [`${count.sent} reports sent to ${reportSink.table}${damaged}`, ...awayLines({ away, unknown })].join('\n'),
    exitCode: unknown.length > 0 ? 1 : count.damaged > 0 ? 3 : 0,
  };
}
