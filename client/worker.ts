import { Command } from 'commander';
import { durationSeconds } from '../core/duration.ts';
import { PgproofError } from '../core/errors.ts';
import { loadConfig } from '../host/config.ts';
import { temporalSettings } from '../workers/temporal.ts';
import { createLogger } from './logger.ts';
import { type Answer, type Session, verb } from './session.ts';

export const workerVerb = (): Command =>
  graceOption(
    new Command('worker')
      .description(
        "this host's worker: ships WAL, writes heartbeats, takes work from Temporal; runs until it is stopped",
      )
      .option('--control', 'the control worker in its place: runs the workflows, needs no database and no repository'),
  ).action(verb(worker));

/** Of whatever takes steps. */
export const graceOption = (command: Command): Command =>
  command.option('--grace <duration>', 'how long running steps may go on once it is told to stop', '20s');

/** @throws {PgproofError} `usage`, quoting what was typed. */
export function graceOf({ options }: Session): number {
  const grace = options.grace as string;
  const seconds = durationSeconds(grace);
  if (seconds !== undefined) return seconds;
  throw new PgproofError('usage', `--grace '${grace}' is no duration such as 30s, 5m or 6h`, { facts: { grace } });
}

async function worker(session: Session): Promise<Answer> {
  if (session.options.control === true) await serveControl(session);
  else await serveHost(session);
  return { json: { stopped: true }, text: 'stopped' };
}

/** On any machine: it need not be one of the configuration's hosts. */
async function serveControl(session: Session): Promise<void> {
  const config = await loadConfig(session.options.config as string | undefined);
  const temporal = temporalSettings(config, process.env);
  const { runControl } = await import('../workers/control.ts'); // see up.ts
  await runControl({ config, log: createLogger(), ...shared(session, 'the control worker', temporal) });
}

async function serveHost(session: Session): Promise<void> {
  const graceSeconds = graceOf(session);
  const host = await session.host();
  const temporal = temporalSettings(host.config, process.env);
  const { runHost } = await import('../workers/host.ts');
  await runHost({ host, graceSeconds, ...shared(session, `the worker of ${host.name}`, temporal) });
}

const shared = (session: Session, who: string, temporal: ReturnType<typeof temporalSettings>) => ({
  temporal,
  signal: session.signal,
  onServing: () => session.say(`${who} takes work from ${temporal.address}`),
});
