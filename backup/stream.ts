import { join } from 'node:path';
import { Pipe } from '../parts/pipe.ts';
import type { StallWatch } from '../parts/stall.ts';
import { PartWriter } from '../parts/writer.ts';
import { whyToolFailed } from '../postgres/run.ts';
import { manifestChecksums, startBaseBackup } from './basebackup.ts';
import type { CopiedBase, CopyJob } from './copied.ts';
import { type Passed, Tap } from './tap.ts';

/** Copies a cluster without extra tablespaces: one stream from pg_basebackup to the repository, nothing on this host's disk. */
export async function streamBase(job: CopyJob, watch: StallWatch): Promise<CopiedBase> {
  const pipe = await Pipe.make(join(job.cluster.paths.backups, `${job.id}${pipeSuffix}`), watch.signal);
  try {
    return await streamThrough(pipe, job, watch);
  } finally {
    await pipe.close();
  }
}

/** A pipe has a name for a moment only; what a killed attempt leaves of it is cleared with the staging folders. */
export const pipeSuffix = '.pipe';

async function streamThrough(pipe: Pipe, job: CopyJob, watch: StallWatch): Promise<CopiedBase> {
  const tool = await startBaseBackup(job, '-', watch, pipe.fd);
  const passed: Passed = new Map();
  const tap = new Tap(passed, null, manifestChecksums);
  const parts = new PartWriter(job.partsOf('pgdata', watch.signal));
  try {
    await pass(pipe.chunks(), tap, parts, job, watch);
    await tool.ended; // its exit code first: a copy that broke off is explained by the tool
    tap.finish();
    watch.waitsFor('repository');
    const stored = await parts.finish();
    return { tablespaces: [{ name: 'pgdata', path: null, parts: stored }], passed, ...tap.kept };
  } catch (error) {
    const reason = await whyToolFailed(tool, error);
    await parts.abandon(reason as Error);
    throw reason;
  }
}

/** Every byte is looked at, then stored. */
export async function pass(
  archive: AsyncIterable<Buffer>,
  tap: Tap,
  parts: PartWriter,
  job: CopyJob,
  watch: StallWatch,
): Promise<void> {
  for await (const chunk of archive) {
    watch.waitsFor('repository');
    tap.read(chunk);
    await parts.write(chunk);
    job.passed(chunk.length);
    watch.waitsFor('server');
  }
}
