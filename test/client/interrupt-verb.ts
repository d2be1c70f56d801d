import type { Command } from 'commander';
import { printError, type Session, verb } from '../../client/session.ts';
import { PgproofError } from '../../core/errors.ts';
import { spawnTool } from '../../postgres/run.ts';

// Run by interrupt.test.ts: a verb that waits for a tool.
const command = { optsWithGlobals: () => ({}) } as unknown as Command;
const run = verb(async (session: Session) => {
  const tools = { bin: '/bin', major: 15 };
  const tool = spawnTool(tools, 'sleep', ['60'], { signal: session.signal, timeoutSeconds: 60 });
  process.stdout.write('ready\n');
  await tool.ended.catch((error: Error) => session.say(error.message));
  if (process.argv.includes('broken')) throw new PgproofError('tool-output', 'the tool said nothing');
  return { json: {}, text: 'tidied up', exitCode: 130 };
});
await run({}, command).catch(async (error) => {
  process.exitCode = await printError(error, false);
});
