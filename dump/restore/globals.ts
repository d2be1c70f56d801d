import { randomBytes } from 'node:crypto';
import type { ConnectionConfig } from '../../core/config.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import { databaseArg } from '../../core/sql-text.ts';
import { connectionArgs } from '../../postgres/client.ts';
import type { Clients } from '../../postgres/clients.ts';
import { loginEnv } from '../../postgres/docker.ts';
import { runTool } from '../../postgres/run.ts';
import { scriptArgs } from './argv.ts';
import { type GlobalsPlan, planGlobals, statementsOf } from './globals-plan.ts';
import { knowsRestrict } from './programs.ts';
import { runRestorer } from './run-tools.ts';
import type { TargetServer } from './server.ts';
import type { DumpSource } from './source.ts';
import { readHead } from './whole/head.ts';

export type { GlobalsPlan } from './globals-plan.ts';

/** Some kilobytes a hundred roles. */
export const mostGlobals = 64 * 1024 * 1024;

/**
 * What of the dump's globals this server lacks.
 * @throws {PgproofError} `rights-missing` unless by a superuser; `tool-failed`, what `source.read` throws.
 */
export async function readGlobals(
  source: DumpSource,
  tools: Clients,
  connection: ConnectionConfig,
  server: TargetServer,
  mode: 'missing' | 'replace',
  run: Run,
): Promise<GlobalsPlan> {
  if (!server.superuser) {
    throw new PgproofError(
      'rights-missing',
      `role '${server.user}' is no superuser: it cannot compare and make roles`,
      {
        facts: { user: server.user },
        hint: `Connect as a superuser with --user${source.kind === 'database' ? ', or leave --globals away and make the roles by hand' : ''}.`,
      },
    );
  }
  const args = ['--globals-only', ...connectionArgs(connection), `--database=${databaseArg(connection.database)}`];
  const { stdout } = await runTool(tools, 'pg_dumpall', args, {
    signal: run.signal,
    timeoutSeconds: 600,
    env: await loginEnv(tools, connection),
    maxOutputBytes: mostGlobals,
  });
  const own = statementsOf(Buffer.from(stdout));
  return planGlobals(await globalsOf(source, run), own, mode, server.user);
}

/**
 * The statements of a dump's globals: those that were dumped with a database, the dump itself, or its beginning.
 * @throws {PgproofError} `tool-output`; what `source.read` throws.
 */
export async function globalsOf(source: DumpSource, run: Run): Promise<string[]> {
  if (source.kind === 'cluster') return statementsOf((await readHead(source, mostGlobals, run)).sql);
  return statementsOf(await whole(source, source.kind === 'globals' ? 'dump' : 'globals', run));
}

async function whole(source: DumpSource, stream: 'dump' | 'globals', run: Run): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const take = async (chunk: Buffer): Promise<void> => {
    bytes += chunk.length;
    if (bytes > mostGlobals)
      throw new PgproofError('tool-output', `the globals of ${source.what} are larger than ${mostGlobals} bytes`);
    chunks.push(chunk);
  };
  const again = async (): Promise<void> => {
    chunks.length = 0;
    bytes = 0;
  };
  await source.read(stream, take, run, again);
  return Buffer.concat(chunks);
}

/** By psql, before the data: owners must be there. */
export async function applyGlobals(
  { run: statements }: GlobalsPlan,
  tools: Clients,
  connection: ConnectionConfig,
  run: Run,
): Promise<void> {
  const restricted = knowsRestrict(tools) ? [`\\restrict ${randomBytes(32).toString('hex')}\n`] : [];
  const sql = Buffer.from([...restricted, ...statements.map((text) => `${text};\n`)].join(''), 'latin1');
  const args = scriptArgs(connection, connection.database, false);
  await runRestorer(tools, 'psql', args, connection, (take) => take(sql), run);
}
