import { Command } from 'commander';
import type { DumpRun } from '../core/dump-run.ts';
import { hasCode } from '../core/errors.ts';
import { shellQuoted } from '../core/shell.ts';
import { reportedDumps } from '../dump/run.ts';
import { renderDumps } from '../report/render/dumps.ts';
import { copyingTo, copyOut } from './dump-files.ts';
import { dumpFlags, dumpRequestOf, flagsOf } from './dump-options.ts';
import { type Done, operateWith, type Plan, reportPlace, sharedOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const dumpVerb = (): Command =>
  dumpFlags(sharedOptions(new Command('dump')))
    .description(
      'logical dumps, one of each database; done means verified and in the repository; exit 3 when one needs a look, such as one of half the size of the last',
    )
    .argument('<cluster>')
    .action(verb(dump));

async function dump(session: Session, cluster: string): Promise<Answer> {
  const { options, run } = session;
  const request = dumpRequestOf(options, cluster);
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

/** As many as a person looks at. */
const fewReports = 5;

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
  if (dumps.length > fewReports)
    lines.push(['reports', `${dumps.length - fewReports} more: pgproof reports ${cluster} --operation dump`]);
  if (temporalUrl !== null) lines.push(['Temporal', temporalUrl]);
  const exitCode = dumps.some(({ findings }) => findings.length > 0) ? 3 : 0;
  return { json: { ...result, dumps }, text: renderDumps({ ...result, dumps }, lines), exitCode };
}
