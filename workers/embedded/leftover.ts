import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { PgproofError } from '../../core/errors.ts';

/** Which process is our server, so that the next `up` can tell a leftover from a stranger. */
const note = z.object({
  pid: z.number().int(),
  parent: z.number().int(),
  database: z.string(),
  port: z.number().int(),
});
export type ServerNote = z.infer<typeof note>;

export async function writeNote(file: string, value: ServerNote): Promise<void> {
  await writeFile(file, JSON.stringify(value), { mode: 0o600 });
}

/**
 * Ends a server whose `up` is gone. It dies with its parent, so this is for the day when that did not work.
 * @throws {PgproofError} `port-in-use` when the `up` that started it still runs.
 */
export async function clearLeftover(file: string): Promise<void> {
  const left = await readNote(file);
  if (left === undefined) return;
  if (await isOurServer(left)) {
    if ((await parentOf(left.pid)) === left.parent) throw alreadyRunning(left);
    process.kill(left.pid, 'SIGKILL');
    while (await isOurServer(left)) await sleep(20);
  }
  await rm(file, { force: true });
}

async function readNote(file: string): Promise<ServerNote | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return note.parse(JSON.parse(text));
  } catch {
    return undefined; // cut off by a crash; it only ever helps to clean up
  }
}

/** A number of ours may be another program's by now: the command line has to name our database. */
async function isOurServer({ pid, database }: ServerNote): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes('start-dev') && command.includes(database);
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
}

function alreadyRunning({ pid, parent, port }: ServerNote): PgproofError {
  return new PgproofError('port-in-use', `another 'pgproof up' of this state folder already runs (process ${parent})`, {
    facts: { port, pid, parent },
    hint: `Use it as it is, or stop it first: kill ${parent}`,
  });
}
