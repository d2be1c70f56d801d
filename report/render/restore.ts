import * as z from 'zod';
import { formatSeconds } from '../../core/format.ts';
import { phase, type Report } from '../../core/report.ts';
import { renderDumpRestore } from './restore-dump.ts';
import { renderWholeRestore } from './restore-whole.ts';
import { fields, list, section } from './text.ts';

/** What is shown of a restore's result; restore/ says what else is in it. */
const shown = z.object({
  planId: z.string(),
  backupId: z.string(),
  target: z.string(),
  reached: z.object({ lsn: z.string().nullable(), lastCommitAt: z.string().nullable(), reason: z.string().nullable() }),
  dataDir: z.string(),
  phases: z.array(phase),
  startCommand: z.string(),
  openingStatement: z.string(),
  notes: z.array(z.string()),
});

export function renderRestore({ result }: Pick<Report, 'result'>): string {
  const parsed = shown.safeParse(result);
  if (!parsed.success) return renderDumpRestore(result) ?? renderWholeRestore(result) ?? '';
  const { planId, backupId, target, reached, dataDir, phases, notes, startCommand, openingStatement } = parsed.data;
  const total = phases.reduce((sum, { seconds }) => sum + seconds, 0);
  return [
    fields([
      ['plan', planId],
      ['backup', backupId],
      ['target', target],
      ['reached', whereItStopped(reached)],
      ['restored to', dataDir],
      ['time', formatSeconds(total)],
    ]),
    section('phases', list(phases.map(({ name, seconds }) => [name, formatSeconds(seconds)]))),
    section('notes', list(notes.map((note) => [note]))),
    section('now it is yours to open; it archives nothing', list([[startCommand]])),
    section('only when it takes the place of the old server, which is stopped for good', list([[openingStatement]])),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function whereItStopped({ lsn, lastCommitAt, reason }: z.infer<typeof shown>['reached']): string {
  const facts = [
    ...(lsn === null ? [] : [`LSN ${lsn}`]),
    lastCommitAt === null ? 'no commit is newer than the backup' : `newest commit ${lastCommitAt}`,
  ];
  return reason === null ? facts.join(', ') : `${facts.join(', ')}\n${reason}`;
}
