import { join } from 'node:path';
import { Pipe } from '../parts/pipe.ts';
import type { StallWatch } from '../parts/stall.ts';
import { longestSeconds, spawnTool, whyToolFailed } from '../postgres/run.ts';
import type { DumpStream } from '../repository/layout.ts';
import type { StoredStream } from '../repository/record.ts';
import type { ArchiveCheck, Entries } from './archive/check.ts';
import { unverified } from './archive/unverified.ts';
import type { DumpJob } from './job.ts';
import { Lister } from './list.ts';
import { StreamWriter } from './stored.ts';

/** What was dumped, stored and found whole. */
export type Taken = { stream: StoredStream; entries: Entries | null };

export type StreamOrder = {
  program: 'pg_dump' | 'pg_dumpall';
  args: readonly string[];
  stream: DumpStream;
  check: ArchiveCheck;
  /** Whether pg_restore is asked, too. */
  isArchive: boolean;
};

/**
 * Stores what a program writes to its standard output while it writes it, and looks at every byte. Nothing of it lies on this host.
 * @throws {PgproofError} `tool-failed`, `dump-unverified`, `tar-invalid`, `timeout`; what the store throws.
 */
export async function takeStream(job: DumpJob, order: StreamOrder, watch: StallWatch): Promise<Taken> {
  const pipe = await Pipe.make(join(job.attempt.folder, `${order.stream}.pipe`), watch.signal);
  try {
    return await takeThrough(pipe, job, order, watch);
  } finally {
    await pipe.close();
  }
}

async function takeThrough(
  pipe: Pipe,
  job: DumpJob,
  { program, args, stream, check, isArchive }: StreamOrder,
  watch: StallWatch,
): Promise<Taken> {
  const { clients } = job.fit;
  const tool = spawnTool(clients, program, args, {
    signal: watch.signal,
    timeoutSeconds: longestSeconds,
    env: job.env,
    stdout: pipe.fd,
  });
  job.attempt.guard(tool.pid);
  const writer = new StreamWriter(job.partsOf(stream, watch.signal));
  const lister = isArchive ? new Lister(clients, watch.signal) : null;
  try {
    for await (const chunk of pipe.chunks()) {
      watch.waitsFor('repository');
      const isHead = check.toc === undefined;
      check.read(chunk);
      if (isHead) await lister?.write(chunk);
      if (isHead && check.toc !== undefined) lister?.end();
      await writer.write(chunk);
      job.passed(chunk.length);
      watch.waitsFor('server');
    }
    await tool.ended; // its exit code first: a dump that broke off is explained by the tool
    job.attempt.guard(null);
    const entries = check.finish();
    if (lister !== null && entries !== null) refuseOtherCount(entries, await lister.finish());
    watch.waitsFor('repository');
    return { stream: await writer.finish(), entries };
  } catch (error) {
    const reason = await whyToolFailed(tool, error);
    job.attempt.guard(null);
    lister?.kill();
    await writer.abandon(reason as Error);
    throw reason;
  }
}

/** @throws {PgproofError} `dump-unverified` */
export function refuseOtherCount({ total }: Entries, listed: number): void {
  if (listed !== total) throw unverified(`pg_restore lists ${listed} entries, and its table of contents has ${total}`);
}
