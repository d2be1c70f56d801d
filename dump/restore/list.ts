import type { ClusterConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import { type Clients, findClients } from '../../postgres/clients.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { longestSeconds, spawnTool } from '../../postgres/run.ts';
import { supportedMajors } from '../../postgres/version.ts';
import { feed } from './feed.ts';
import { majorOf } from './programs.ts';
import { inScratch } from './scratch.ts';
import type { DumpSource } from './source.ts';
import { stageList } from './stage.ts';

/**
 * What `pg_restore --list` says is in the dump; edited, it selects what a restore brings back.
 * @throws {PgproofError} `dump-unfit` for SQL, which has no list.
 */
export async function listDump(
  cluster: ProtectedCluster,
  tools: ClusterConfig['tools'],
  source: DumpSource,
  run: Run,
): Promise<string> {
  if (source.format === 'plain')
    throw new PgproofError('dump-unfit', `${source.what} is plain SQL, which has no list`, {
      facts: { dump: source.what },
      hint: 'Restore all of it into a new database, and take from there what is wanted.',
    });
  const clients = await findClients(tools, majorOf(source.toolVersion) ?? supportedMajors.newest, 'the dump');
  return inScratch(cluster, async (scratch) => {
    return listOf(source, clients, await stageList(source, scratch, run), run);
  });
}

/** @param path of the dump, or of its list alone; null: it is read from its source. */
export async function listOf(source: DumpSource, tools: Clients, path: string | null, run: Run): Promise<string> {
  const tool = spawnTool(tools, 'pg_restore', ['--list', ...(path === null ? [] : [path])], {
    signal: run.signal,
    timeoutSeconds: longestSeconds,
    input: path === null,
  });
  const chunks: Buffer[] = [];
  const reading = (async () => {
    for await (const chunk of tool.stdout) chunks.push(chunk as Buffer);
  })();
  reading.catch(() => {});
  if (path === null) await feed(tool, (take, watched) => source.read('dump', take, watched), run);
  await tool.ended;
  await reading;
  return Buffer.concat(chunks).toString('utf8');
}
