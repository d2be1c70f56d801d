import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { StallWatch } from '../../parts/stall.ts';
import { queryOne, withClient } from '../../postgres/client.ts';
import { longestSeconds, spawnTool, whyToolFailed } from '../../postgres/run.ts';
import { dumpArgs } from '../argv.ts';
import type { DumpJob } from '../job.ts';
import { Lister } from '../list.ts';
import { StreamWriter } from '../stored.ts';
import { refuseOtherCount, type Taken } from '../stream.ts';
import { followFolder } from './follow.ts';
import { Shipper } from './shipper.ts';
import { canPunch, refuseTooLittleSpace } from './space.ts';
import { TarStream } from './tar-stream.ts';

const defaultWindowBytes = 512 << 20;

/**
 * Dumps in directory format, by several jobs with one snapshot, as one tar stream. pg_dump writes this format to a folder only: what it
 * writes there is shipped and taken away while it writes, so that no more than a window of it ever lies on this host.
 * @throws {PgproofError} `no-space` before anything is dumped; `tool-failed`, `dump-unverified`, `timeout`; what the store throws.
 */
export async function takeDirectory(job: DumpJob, watch: StallWatch): Promise<Taken> {
  const { cluster, target, fit, attempt, options } = job;
  const windowBytes = options.windowBytes ?? defaultWindowBytes;
  const database = target.database as string;
  const punches = await canPunch(attempt.folder, watch.signal);
  const databaseBytes = await sizeOf(job, database, watch.signal);
  await refuseTooLittleSpace(attempt.folder, { windowBytes, databaseBytes, punches });
  // Its true name, because that is what the kernel calls open files by.
  const folder = join(await realpath(attempt.folder), 'directory');
  await mkdir(folder, { mode: 0o700 });

  const { clients, compression } = fit;
  const how = { major: clients.major, compression, destination: { folder } };
  const writer = new StreamWriter(job.partsOf('dump.directory.tar', watch.signal));
  const write = async (chunk: Buffer): Promise<void> => {
    await writer.write(chunk);
    watch.waitsFor('repository');
  };
  const tar = new TarStream({ write });
  const shipper = new Shipper(tar, { punches, signal: watch.signal });
  const tool = spawnTool(clients, 'pg_dump', dumpArgs(cluster.config.connection, { ...target, database }, how), {
    signal: watch.signal,
    timeoutSeconds: longestSeconds,
    env: job.env,
  });
  attempt.guard(tool.pid);
  tool.stdout.resume(); // it says nothing there
  try {
    await followFolder(tool, watch, { folder, windowBytes, ship: (piece) => shipper.ship(piece), grown: job.passed });
    attempt.guard(null);
    const entries = shipper.finish();
    refuseOtherCount(entries, await new Lister(clients, watch.signal, folder).finish());
    await tar.end();
    watch.waitsFor('repository');
    return { stream: await writer.finish(), entries };
  } catch (error) {
    const reason = await whyToolFailed(tool, error);
    attempt.guard(null);
    await shipper.abandon();
    await writer.abandon(reason as Error);
    throw reason;
  }
}

async function sizeOf({ cluster }: DumpJob, database: string, signal: AbortSignal): Promise<number> {
  const row = z.object({ bytes: z.string() });
  const sql = 'SELECT pg_database_size($1::name)::text AS bytes';
  const options = { database, signal, statementTimeoutSeconds: 300 };
  const ask = withClient(cluster.config.connection, (client) => queryOne(client, sql, [database], row), options);
  return Number((await ask).bytes);
}
