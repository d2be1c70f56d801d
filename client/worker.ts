import { Command } from 'commander';
import { temporalSettings } from '../workers/temporal.ts';
import { type Answer, type Session, verb } from './session.ts';

export const workerVerb = (): Command =>
  new Command('worker')
    .description("this host's worker: ships WAL, writes heartbeats, takes work from Temporal; runs until it is stopped")
    .option('--control', 'the control worker in its place: runs the workflows, needs no database and no repository')
    .action(verb(worker));

async function worker(session: Session): Promise<Answer> {
  const host = await session.host();
  const temporal = temporalSettings(host.config, process.env);
  const who = session.options.control === true ? 'the control worker' : `the worker of ${host.name}`;
  const shared = {
    temporal,
    signal: session.signal,
    onServing: () => session.say(`${who} takes work from ${temporal.address}`),
  };
  if (session.options.control === true) {
    const { runControl } = await import('../workers/control.ts'); // see up.ts
    await runControl({ ...shared, config: host.config, log: host.log });
  } else {
    const { runHost } = await import('../workers/host.ts');
    await runHost({ ...shared, host });
  }
  return { json: { stopped: true }, text: 'stopped' };
}
