import { hasCode, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import { PlainCheck } from '../dump/archive/plain.ts';
import { feed } from '../dump/restore/feed.ts';
import { majorOf } from '../dump/restore/programs.ts';
import { type DumpSource, dumpSource } from '../dump/restore/source.ts';
import { stageDump } from '../dump/restore/stage.ts';
import { type Clients, findClients } from '../postgres/clients.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { longestSeconds, spawnTool } from '../postgres/run.ts';
import { dumpParts } from '../repository/dumps.ts';
import { dumpKey } from '../repository/layout.ts';
import type { DumpRecord } from '../repository/record.ts';
import { withoutStanding } from '../storage/standing.ts';
import type { Findings } from './findings.ts';
import { inScratch } from './scratch.ts';
import { nameDamaged } from './unpack.ts';

/** After so long without a byte, neither store nor program is waited for any more. */
const standingSeconds = 600;

/**
 * Reads a dump, out of this repository alone, to its end: an archive by pg_restore, which writes it out as SQL that nobody keeps;
 * SQL up to the line that pg_dump ends with. Nothing is executed.
 * @returns whether it is whole; that it is not becomes a finding.
 * @throws {PgproofError} `tool-missing`, `tool-outdated`, `no-space`, `key-missing`, `key-write-only`; what the store says.
 */
export async function readDumpToEnd(
  cluster: ProtectedCluster,
  record: DumpRecord,
  findings: Findings,
  run: Run,
): Promise<boolean> {
  const { id } = record;
  const source = dumpSource({ ...cluster, repositories: [cluster.repository] }, record);
  try {
    await withoutStanding(run, standingSeconds, stands(id), async (watched) => {
      if (source.format === 'plain') await readSql(source, 'dump', watched);
      else await readArchive(cluster, source, watched);
      if (source.globals) await readSql(source, 'globals', watched);
    });
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    const subject = { of: 'dump', id } as const;
    if (!(await nameDamaged(cluster, record, dumpParts(record), subject, findings, run)))
      findings.add({ object: dumpKey(cluster.name, id), kind: 'damaged', why: error.message, subject });
    return false;
  }
}

async function readSql(source: DumpSource, stream: 'dump' | 'globals', run: Run): Promise<void> {
  const isOfOne = stream === 'dump' && source.kind === 'database';
  const check = new PlainCheck(isOfOne ? 'pg_dump' : 'pg_dumpall');
  await source.read(stream, async (chunk) => check.read(chunk), run);
  check.finish();
}

async function readArchive(cluster: ProtectedCluster, source: DumpSource, run: Run): Promise<void> {
  const clients = await findClients(cluster.config.tools, majorOf(source.toolVersion) ?? 0, 'the dump');
  if (source.format !== 'directory')
    return readOut(clients, [], run, (take, watched) => source.read('dump', take, watched));
  await inScratch(cluster, source.what, async (folder) =>
    readOut(clients, [await stageDump(source, folder, run)], run),
  );
}

/** @param read what pg_restore is to read, unless it reads a path. */
async function readOut(
  clients: Clients,
  paths: readonly string[],
  run: Run,
  read?: (take: (chunk: Buffer) => Promise<void>, run: Run) => Promise<void>,
): Promise<void> {
  const { signal } = run;
  const tool = spawnTool(clients, 'pg_restore', ['--file=/dev/null', ...paths], {
    ...{ signal, timeoutSeconds: longestSeconds, input: read !== undefined },
  });
  tool.stdout.resume();
  if (read !== undefined) await feed(tool, read, run, { whole: true });
  await tool.ended;
}

/** pg_restore that is killed, or never began, says nothing about the dump. */
const isDamage = (error: unknown): error is PgproofError =>
  hasCode(error, 'object-damaged', 'object-missing', 'dump-unverified', 'tar-invalid') ||
  (hasCode(error, 'tool-failed') && error.facts.exitCode === 1);

const stands = (id: string) => (): PgproofError =>
  new PgproofError('store-unreachable', `nothing of the dump ${id} has come for ${standingSeconds} s`);
