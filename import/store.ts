import { randomBytes } from 'node:crypto';
import { suffixOf } from '../codec/sealing.ts';
import { throwIfAborted } from '../core/abort.ts';
import type { DumpFormat } from '../core/dump.ts';
import { runId } from '../core/ids.ts';
import type { Run } from '../core/run.ts';
import { withAttempt } from '../dump/attempt.ts';
import { StreamWriter } from '../dump/stored.ts';
import { type Copies, copiesToBe, type Dropped } from '../parts/copies.ts';
import { withStallWatch } from '../parts/stall.ts';
import { teeStore } from '../parts/tee.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { commitDump } from '../repository/dumps.ts';
import { sealingFor } from '../repository/keys.ts';
import { type DumpStream, dumpPartKey, formatVersion } from '../repository/layout.ts';
import { assertOwner } from '../repository/owner.ts';
import type { DumpRecord, StoredStream } from '../repository/record.ts';
import { type Inspected, inspect } from './inspect.ts';
import { type FileSource, openSource, type SourceOptions } from './source.ts';
import type { ToTake } from './take.ts';

/** A store that takes nothing for so long is given up. */
const stallSeconds = 900;

const streams: Record<DumpFormat, DumpStream> = {
  custom: 'dump.custom',
  directory: 'dump.directory.tar',
  tar: 'dump.tar',
  plain: 'dump.sql',
};

type Stored = { record: DumpRecord; copies: { repositories: string[]; dropped: Dropped[] } };

/**
 * Reads an old dump to its end and stores it in all repositories that the cluster is written to: its own format and bytes, compressed and
 * sealed as all dumps are. It exists from when the commit file is written, after everything about it was found whole.
 * @throws {PgproofError} `object-damaged`, with the path; `owner-other`; what the store says. Nothing of a failed one is listed.
 */
export async function storeDump(
  cluster: ProtectedCluster,
  each: ToTake,
  opening: SourceOptions,
  outer: Run,
): Promise<Stored> {
  const id = runId(new Date(), 'logical', randomBytes(4).toString('hex'));
  return withAttempt(cluster, id, () =>
    withStallWatch(outer.signal, { seconds: stallSeconds }, async ({ signal, waitsFor }) => {
      const run: Run = { ...outer, signal };
      const copies = copiesToBe(cluster);
      const job = { cluster, id, copies, signal, moved: () => waitsFor('repository') };
      const source = each.dump.source as FileSource;
      const { stored, inspected } = await store(job, streams[source.format], (take) =>
        inspect(each.dump, cluster.config.tools, run, take),
      );
      const globals = await storeGlobals(job, each, opening);
      const record = recordOf(cluster, id, each, inspected, stored, globals);
      await copies.each(signal, (repository, limited) => assertOwner(repository, cluster, { signal: limited }));
      const records: DumpRecord[] = [];
      await copies.each(signal, async (repository, limited) => {
        records.push(await commitDump(repository, cluster.keys, record, { signal: limited }));
      });
      const places = { repositories: copies.live.map(({ name }) => name), dropped: [...copies.dropped] };
      return { result: { record: records[0] as DumpRecord, copies: places }, isClean: true };
    }),
  );
}

type Job = { cluster: ProtectedCluster; id: string; copies: Copies; signal: AbortSignal; moved(): void };

async function store<Found>(
  { cluster, id, copies, signal, moved }: Job,
  stream: DumpStream,
  read: (take: (chunk: Buffer) => Promise<void>) => Promise<Found>,
): Promise<{ stored: StoredStream; inspected: Found }> {
  const sealing = sealingFor(cluster.keys);
  const writer = new StreamWriter({
    store: teeStore(copies),
    keyOf: (part) => dumpPartKey(cluster.name, id, stream, part, suffixOf(sealing)),
    sealing,
    signal,
  });
  try {
    const inspected = await read(async (chunk) => {
      await writer.write(chunk);
      moved();
    });
    return { inspected, stored: await writer.finish() };
  } catch (error) {
    await writer.abandon(error as Error);
    throwIfAborted(signal);
    throw error;
  }
}

async function storeGlobals(job: Job, { dump, facts }: ToTake, opening: SourceOptions): Promise<StoredStream | null> {
  if (dump.globals === null || facts.kind !== 'database') return null;
  const globals = await openSource(dump.globals, opening);
  const { stored } = await store(job, 'globals.sql', async (take) => {
    for await (const chunk of globals.open(job.signal)) await take(chunk as Buffer);
  });
  return stored;
}

function recordOf(
  cluster: ProtectedCluster,
  id: string,
  { dump, facts, tier, database }: ToTake,
  { entries, verified, notes }: Inspected,
  stored: StoredStream,
  globals: StoredStream | null,
): Omit<DumpRecord, 'signature'> {
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
