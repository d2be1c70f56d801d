import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, PgproofError } from '../../core/errors.ts';
import { settingLines, startServer } from '../../postgres/control.ts';
import { runTool } from '../../postgres/run.ts';
import { findTools, type Tools } from '../../postgres/tools.ts';
import { supportedMajors } from '../../postgres/version.ts';
import type { Stage } from './stage.ts';

/** The newest PostgreSQL of this machine. */
export async function newestTools(): Promise<Tools> {
  for (let major = supportedMajors.newest; major >= supportedMajors.oldest; major -= 1) {
    try {
      return await findTools('auto', major);
    } catch (error) {
      if (!hasCode(error, 'tool-missing')) throw error;
    }
  }
  throw new PgproofError('tool-missing', 'there is no PostgreSQL server on this machine', {
    hint: 'Run ./pgproof demo, which sets one up, or install the package postgresql.',
  });
}

/** A new cluster that nothing but a private socket reaches. */
export async function makeCluster(tools: Tools, stage: Stage, signal: AbortSignal): Promise<void> {
  const args = [
    '-D',
    stage.dataDir,
    '-U',
    'postgres',
    '--auth=trust',
    '--data-checksums',
    '--no-sync',
    '--encoding=UTF8',
    '--locale=C',
  ];
  await runTool(tools, 'initdb', args, { signal, timeoutSeconds: 120 });
  await addSettings(stage, {
    listen_addresses: '',
    unix_socket_directories: stage.socketDir,
    dynamic_shared_memory_type: 'mmap',
  });
}

/** Appended to postgresql.conf: the last value of a setting counts. */
export async function addSettings(stage: Stage, settings: Record<string, string>): Promise<void> {
  await appendFile(join(stage.dataDir, 'postgresql.conf'), settingLines(settings));
}

export type Throwaway = { stop(): Promise<void> };

/**
 * Tied to this process, so that nothing outlives it however it ends; with `keep` a daemon of its own, as pg_ctl makes it.
 */
export async function startThrowaway(
  tools: Tools,
  stage: Stage,
  keep: boolean,
  signal: AbortSignal,
): Promise<Throwaway> {
  if (!keep) {
    const server = await startServer({
      tools,
      dataDir: stage.dataDir,
      socketDir: stage.socketDir,
      settings: {},
      logFile: stage.logs.server,
      signal,
      wait: 'connect',
      readyTimeoutSeconds: 60,
    });
    return { stop: () => server.stop('fast') };
  }
  const control = (...args: string[]) =>
    runTool(tools, 'pg_ctl', ['-D', stage.dataDir, ...args], { signal, timeoutSeconds: 90 });
  // The daemon must not hold our pipe as its standard error.
  await (await open(stage.logs.server, 'a')).close();
  await control('start', '-w', '-t', '60', '-l', stage.logs.server);
  return { stop: async () => void (await control('stop', '-m', 'fast', '-w')) };
}
