import type { Report } from '../core/report.ts';
import { renderBackup } from './render/backup.ts';
import { renderCopy } from './render/copy.ts';
import { renderDrill } from './render/drill.ts';
import { renderDump } from './render/dump.ts';
import { renderExpire } from './render/expire.ts';
import { renderRestore } from './render/restore.ts';
import { fields, rule, whereToLook } from './render/text.ts';
import { renderVerify } from './render/verify.ts';
import { renderWalSync } from './render/wal-sync.ts';

/** Where a person goes on from here; what is null or absent is not shown. */
export type Places = {
  /** Path or address of the report itself. */
  reportFile?: string | null;
  /** The run's page in Temporal's web UI. */
  temporalUrl?: string | null;
  /** Further lines, each with what it is for. */
  more?: readonly (readonly [string, string])[];
};

const bodies = {
  backup: renderBackup,
  dump: renderDump,
  drill: renderDrill,
  restore: renderRestore,
  copy: renderCopy,
  verify: renderVerify,
  walSync: renderWalSync,
  expire: renderExpire,
} as const;
const headlines = { SUCCESS: 'DONE', FAILED: 'FAILED', CANCELLED: 'CANCELLED' } as const;

/** A report as a person at a terminal reads it: what came of it first, then how, then where to look next. */
export function renderReport(report: Report, places: Places = {}): string {
  const sections = [
    `${headline(report)}\n${rule}`,
    fields(facts(report)),
    bodies[report.operation](report),
    whereToLook([...links(report, places)]),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

/** The verdict of a drill is its headline: a drill that could not be carried out did not fail, and did not pass. */
function headline({ operation, cluster, status, result }: Report): string {
  const verdict = typeof result.verdict === 'string' ? result.verdict.toUpperCase() : headlines[status];
  const what = operation.replace(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase(); // walSync: WAL SYNC
  return `${what} ${status === 'CANCELLED' ? headlines.CANCELLED : verdict}: ${cluster}`;
}

function facts(report: Report): [string, string][] {
  const { host, port, startedAt, durationSeconds, requestedBy, reason, errorMessage, result } = report;
  const why = typeof result.verdictReason === 'string' ? result.verdictReason : errorMessage;
  const hint = (result.error as { hint?: unknown } | undefined)?.hint;
  const lines: [string, string | null][] = [
    ['why', why],
    ['what to do', typeof hint === 'string' ? hint : null],
    ['where', `${host}${port === null ? '' : `, port ${port}`}`],
    ['when', `${startedAt}, took ${durationSeconds.toFixed(1)} s`],
    ['asked by', requestedBy],
    ['reason', reason],
  ];
  return lines.filter((line): line is [string, string] => line[1] !== null);
}

function links({ workflowId }: Report, { reportFile, temporalUrl, more = [] }: Places): [string, string][] {
  const lines: [string, string | null | undefined][] = [
    ['report', reportFile],
    ['Temporal', temporalUrl ?? (workflowId === null ? null : `workflow ${workflowId}`)],
    ...more.map(([what, place]): [string, string] => [what, place]),
  ];
  return lines.filter((line): line is [string, string] => typeof line[1] === 'string');
}
