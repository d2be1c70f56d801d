import { randomBytes } from 'node:crypto';
import { suffixOf } from '../codec/sealing.ts';
import { throwIfAborted } from '../core/abort.ts';
import type { DumpFormat } from '../core/dump.ts';
import { runId } from '../core/ids.ts';
import type { Run } from '../core/run.ts';
import { withAttempt } from '../dump/attempt.ts';
import { commit, type TakenDump } from '../dump/commit.ts';
import { takeBack } from '../dump/leftovers.ts';
import type { UnsignedDump } from '../dump/record.ts';
import { StreamWriter } from '../dump/stored.ts';
import { type Copies, copiesToBe } from '../parts/copies.ts';
import { withStallWatch } from '../parts/stall.ts';
import { teeStore } from '../parts/tee.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { sealingFor } from '../repository/keys.ts';
import { type DumpStream, dumpPartKey, formatVersion } from '../repository/layout.ts';
import type { StoredStream } from '../repository/record.ts';
import type { FileSource } from './file-source.ts';
import { type Inspected, inspect } from './inspect.ts';
import type { ToTake } from './plan.ts';
import { openSource, type SourceOptions } from './source.ts';

/** A store that takes nothing for so long is given up. */
const stallSeconds = 900;
/** How long a failed attempt may take to clean up after itself; the next dump would do it as well. */
const withdrawSeconds = 60;

const streams: Record<DumpFormat, DumpStream> = {
  custom: 'dump.custom',
  directory: 'dump.directory.tar',
  tar: 'dump.tar',
  plain: 'dump.sql',
};

/**
 * Reads an old dump to its end and stores it in all repositories that the cluster is written to: its own format and bytes, compressed and
 * sealed as all dumps are. It exists from when the commit file is written, after everything about it was found whole.
 * @throws {PgproofError} `object-damaged`, with the path; what `commit` throws; what the store says. Nothing of a failed one is listed.
 */
export async function storeDump(
  cluster: ProtectedCluster,
  each: ToTake,
  opening: SourceOptions,
  run: Run,
): Promise<TakenDump> {
  const id = runId(new Date(), 'logical', randomBytes(4).toString('hex'));
  return withAttempt(cluster, id, async (attempt) => {
    try {
      const copies = copiesToBe(cluster);
      const record = await withStallWatch(run.signal, { seconds: stallSeconds }, ({ signal, waitsFor }) => {
        const job = { cluster, id, copies, run: { ...run, signal }, moved: () => waitsFor('repository') };
        return storeStreams(job, each, opening);
      });
      return await commit(cluster, copies, record, run); // until now the dump does not exist
    } catch (error) {
      await takeBack(cluster, id, AbortSignal.timeout(withdrawSeconds * 1000)).catch(() => attempt.leaveNote());
      throw error;
    }
  });
}

async function storeStreams(job: Job, each: ToTake, opening: SourceOptions): Promise<UnsignedDump> {
  const { cluster, run } = job;
  const source = each.dump.source as FileSource;
  let inspected: Inspected | undefined;
  const dump = await store(job, streams[source.format], async (take) => {
    inspected = await inspect(each.dump, cluster.config.tools, run, take);
  });
  const globals = await storeGlobals(job, each, opening);
  return recordOf(job, each, inspected as Inspected, dump, globals);
}

type Job = { cluster: ProtectedCluster; id: string; copies: Copies; run: Run; moved(): void };

async function store(
  { cluster, id, copies, run: { signal }, moved }: Job,
  stream: DumpStream,
  read: (take: (chunk: Buffer) => Promise<void>) => Promise<void>,
): Promise<StoredStream> {
  const sealing = sealingFor(cluster.keys);
  const writer = new StreamWriter({
    store: teeStore(copies),
    keyOf: (part) => dumpPartKey(cluster.name, id, stream, part, suffixOf(sealing)),
    sealing,
    signal,
  });
  try {
    await read(async (chunk) => {
      await writer.write(chunk);
      moved();
    });
    return await writer.finish();
  } catch (error) {
    await writer.abandon(error as Error);
    throwIfAborted(signal);
    throw error;
  }
}

async function storeGlobals(job: Job, { dump, facts }: ToTake, opening: SourceOptions): Promise<StoredStream | null> {
  if (dump.globals === null || facts.kind !== 'database') return null;
  const globals = await openSource(dump.globals, opening);
  return store(job, 'globals.sql', async (take) => {
    for await (const chunk of globals.open(job.run.signal)) await take(chunk as Buffer);
  });
}

function recordOf(
  { cluster, id }: Job,
  { dump, facts, tier, database }: ToTake,
  { entries, verified, notes }: Inspected,
  stored: StoredStream,
  globals: StoredStream | null,
): UnsignedDump {
  const { format, kind, head } = dump.source as FileSource;
  const { cipher } = sealingFor(cluster.keys);
  // The scripts of that layout gave pg_dump --no-owner --no-acl; what others gave is not known.
  const isBare = facts.tier !== null;
  return {
    formatVersion,
    id,
    cluster: cluster.name,
    kind,
    database,
    tier,
    format,
    content: 'all',
    compression: head.compression,
    selection: { tables: [], excludeTables: [], excludeTableData: [], schemas: [], excludeSchemas: [] },
    owner: !isBare,
    privileges: !isBare,
    server: {
      major: head.serverVersion === null ? null : Number.parseInt(head.serverVersion, 10) || null,
      version: head.serverVersion,
      systemId: null,
      inRecovery: false,
      encoding: head.encoding,
      collate: null,
      ctype: null,
      owner: null,
    },
    toolVersion: head.toolVersion,
    host: cluster.host,
    startedAt: facts.startedAt.toISOString(),
    finishedAt: facts.finishedAt.toISOString(),
    dump: stored,
    globals,
    entries,
    codec: { compression: 'zstd', cipher },
    keyId: cluster.keys.current?.id ?? null,
    verified,
    importedFrom: dump.name,
    findings: [],
    notes: [...(facts.host === null ? [] : [`made on ${facts.host}`]), ...facts.notes, ...notes],
  };
}
