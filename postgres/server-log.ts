import { open, stat } from 'node:fs/promises';
import { PgproofError } from '../core/errors.ts';

/** The log file's size; 0 when there is none yet. */
export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

/** What stands in the file behind `start`, but no more than the last `maxBytes` of it. */
export async function readTail(path: string, start: number, maxBytes: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const position = Math.max(start, size - maxBytes);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(Math.max(0, size - position)), position });
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

export function lastLines(log: string): string[] {
  return log.trimEnd().split('\n').slice(-15);
}

type Started = { dataDir: string; socketDir: string; port?: number; settings: Readonly<Record<string, string>> };

/**
 * Why a server ended before it took sessions, by its own log (in English, because we start it so): PostgreSQL's exit status is 1
 * whatever the reason.
 */
export function endedEarly(
  exit: { code: number | null; signal: string | null },
  log: string,
  started: Started,
): PgproofError {
  const lines = lastLines(log);
  const facts = { tool: 'postgres', exitCode: exit.code, signal: exit.signal, log: lines };
  const port = Number(started.settings.port ?? started.port ?? 5432);
  if (/Address already in use|lock file ".*\.s\.PGSQL\.\d+\.lock" already exists/.test(log)) {
    return new PgproofError('port-in-use', `port ${port} is in use: another server has it`, {
      facts: { ...facts, port, socketDir: started.socketDir },
      hint: `Give another port, or find who has it: ss -lptn 'sport = :${port}'`,
    });
  }
  if (/lock file "postmaster\.pid" already exists/.test(log)) {
    return new PgproofError('cluster-running', `a PostgreSQL server runs in '${started.dataDir}' already`, {
      facts: { ...facts, path: started.dataDir },
    });
  }
  const fatal = lines.findLast((line) => /(FATAL|PANIC):/.test(line))?.replace(/^.*(FATAL|PANIC):\s*/, '');
  const reason = fatal ?? lines.findLast((line) => line !== '') ?? 'its log is empty';
  return new PgproofError('tool-failed', `the server ended before it was ready: ${reason}`, { facts });
}
