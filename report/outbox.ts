import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { type Report, report as reportSchema } from '../core/report.ts';
import type { ReportSink } from '../postgres/cluster.ts';
import { parseDocument } from '../repository/document.ts';
import { writeDurably } from '../storage/durable-file.ts';

/*
 * Reports on their way into the sink's table: one small file each, on this host. Whoever takes one out sends it first and removes
 * it then; sending one twice changes nothing, so that several may do it at once without a lock.
 */

/** What a busy host files in about three days. Whatever is longer away gets its rows from the repositories (`reports --send`). */
const mostQueued = 10_000;

/** Waits for a table that may be away for long, and so never throws: what cannot wait here is told to `onUnqueued`. */
export async function queueReport(
  { outbox, onUnqueued }: ReportSink,
  report: Report,
  most: number = mostQueued,
): Promise<void> {
  try {
    await mkdir(outbox, { recursive: true, mode: 0o700 });
    if ((await listQueued(outbox)).length >= most) throw full(outbox, report, most);
    await writeDurably(join(outbox, `${report.id}.${report.cluster}.json`), JSON.stringify(report));
  } catch (error) {
    onUnqueued(unqueued(report, asPgproofError(error)));
  }
}

/** Names of the files, oldest report first. */
export async function listQueued(outbox: string): Promise<string[]> {
  return (await namesIn(outbox)).filter((name) => name.endsWith('.json')).sort();
}

/** Those that could not be read and were put aside, for a person to look at. */
export async function listSetAside(outbox: string): Promise<string[]> {
  return (await namesIn(outbox)).filter((name) => name.endsWith('.unreadable')).sort();
}

/** Null when it is gone: another one has sent it. @throws {PgproofError} `record-invalid`, `repository-format` */
export async function readQueued(outbox: string, name: string): Promise<Report | null> {
  try {
    return parseDocument(name, await readFile(join(outbox, name)), reportSchema);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export async function removeQueued(outbox: string, name: string): Promise<void> {
  await rm(join(outbox, name), { force: true });
}

/** Out of the way of the others. */
export async function setAside(outbox: string, name: string): Promise<void> {
  await rename(join(outbox, name), join(outbox, `${name}.unreadable`)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function namesIn(outbox: string): Promise<string[]> {
  try {
    return await readdir(outbox);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const full = (outbox: string, { id }: Report, most: number): PgproofError =>
  new PgproofError('outbox-full', `${most} reports wait in '${outbox}' already`, {
    facts: { outbox, report: id },
  });

function unqueued({ id, cluster, startedAt }: Report, error: PgproofError): PgproofError {
  return error.retold({
    message: `report ${id} of ${cluster} could not be put into the outbox: ${error.message}`,
    facts: { report: id, cluster },
    hint: `It lies in the repository all the same. Once this is mended: pgproof reports ${cluster} --send --since ${startedAt}`,
  });
}
