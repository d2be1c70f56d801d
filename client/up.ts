import { Command } from 'commander';
import { type Answer, type Session, verb } from './session.ts';
import { graceOf, graceOption } from './worker.ts';

export const upVerb = (): Command =>
  graceOption(new Command('up'))
    .description(
      'everything on one machine: embedded Temporal, control worker, and the worker of this host; runs until it is stopped',
    )
    .action(verb(up));

/** What `up` says once it is ready; the demo waits for it. */
export const readyWords = 'workflows can be started';

async function up(session: Session): Promise<Answer> {
  // Loaded here: Temporal's worker takes a second to load, and every other verb would wait for it.
  const { runUp } = await import('../workers/up.ts');
  const host = await session.host();
  await runUp({
    host,
    graceSeconds: graceOf(session),
    signal: session.signal,
    env: process.env,
    onReady: ({ address, embedded }) => {
      session.say(`${readyWords}; Temporal is at ${address}`);
      if (embedded) session.say(`web UI: http://127.0.0.1:${host.config.temporal.embedded.uiPort}`);
    },
  });
  return { json: { stopped: true }, text: 'stopped' };
}
