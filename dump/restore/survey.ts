import { hasCode, PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { Clients } from '../../postgres/clients.ts';
import { longestSeconds, spawnTool } from '../../postgres/run.ts';
import { selectionArgs } from './argv.ts';
import { feed } from './feed.ts';
import { quoted } from './fit-words.ts';
import { listOf } from './list.ts';
import { type DumpNeeds, NeedsReader } from './needs.ts';
import type { DecidedRestore } from './options.ts';
import { refuseOtherList } from './selected.ts';
import type { DumpSource } from './source.ts';

/** SQL that has no rows for so long, such as INSERTs, is looked at so far only. */
const mostSqlBytes = 256 * 1024 * 1024;

/**
 * What a dump asks of its server, by the SQL that would be run: of an archive pg_restore writes it, from its list alone. Reads the
 * beginning of the stream only.
 * @param path of the staged dump; null: it is read from its source.
 * @throws {PgproofError} `dump-unfit` where `options.select` is another dump's, or it has no table or schema of a name that was asked for; `tool-failed`, what `source.read` throws.
 */
export async function surveyDump(
  source: DumpSource,
  tools: Clients,
  options: DecidedRestore,
  path: string | null,
  listFile: string | null,
  run: Run,
): Promise<DumpNeeds> {
  const needs = new NeedsReader();
  if (source.format === 'plain') {
    await head(
      source,
      run,
      (chunk) => needs.take(chunk),
      () => needs.done,
    );
    return needs.end();
  }
  if (options.select !== null) refuseOtherList(options.select, await listOf(source, tools, path, run), source.what);
  const isNamed = options.tables.length + options.schemas.length > 0;
  if (options.content === 'data' && !isNamed) return needs.end();
  const args = selectionArgs({ options: { ...options, content: 'schema' }, noTablespaces: false, listFile });
  // --role is part of the connection, which there is none of yet.
  const offline = args.filter((arg) => !arg.startsWith('--role='));
  const tool = spawnTool(tools, 'pg_restore', ['--file=-', ...offline, ...(path === null ? [] : [path])], {
    signal: run.signal,
    timeoutSeconds: longestSeconds,
    input: path === null,
  });
  const reading = (async () => {
    for await (const chunk of tool.stdout) if (options.content !== 'data') needs.take(chunk as Buffer);
  })();
  reading.catch(() => {});
  try {
    if (path === null) await feed(tool, (take, watched) => source.read('dump', take, watched), run);
    await tool.ended;
  } catch (error) {
    throw nameMissing(error, source, options) ?? error;
  }
  await reading;
  return needs.end();
}

function nameMissing(error: unknown, { what }: DumpSource, { schemas }: DecidedRestore): PgproofError | null {
  const found = hasCode(error, 'tool-failed') ? /error: (table|schema) "(.*)" not found/.exec(error.message) : null;
  if (found === null) return null;
  const [, kind, name] = found;
  const within = kind === 'table' && schemas.length > 0 ? ` in schema ${quoted(schemas)}` : '';
  return new PgproofError('dump-unfit', `${what} has no ${kind} '${name}'${within}`, {
    facts: { dump: what, kind: kind as string, name: name as string },
    hint: 'See what is in it with --list. A name is taken as it is, without quotes; a table is named without its schema, which --schema says.',
    cause: error,
  });
}

async function head(source: DumpSource, run: Run, take: (chunk: Buffer) => void, done: () => boolean): Promise<void> {
  const enough = new AbortController();
  let bytes = 0;
  const look = async (chunk: Buffer): Promise<void> => {
    if (enough.signal.aborted) return;
    take(chunk);
    bytes += chunk.length;
    if (done() || bytes > mostSqlBytes) enough.abort();
  };
  try {
    await source.read('dump', look, { ...run, signal: AbortSignal.any([run.signal, enough.signal]) });
  } catch (error) {
    if (run.signal.aborted || !enough.signal.aborted) throw error;
  }
}
