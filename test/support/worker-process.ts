import { pino } from 'pino';
import { openHost } from '../../host/host.ts';
import { runHost } from '../../workers/host.ts';
import { temporalSettings } from '../../workers/temporal.ts';
import { noTemporalEnv } from './temporal.ts';

/** `pgproof worker` of the stage's host, as a process to be killed: worker-process.ts CONFIG HOST. */
const log = pino({ level: 'info' }, pino.destination({ dest: 2, sync: true }));
const host = await openHost({ configFile: process.argv[2], host: process.argv[3] as string, log });
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
console.log('started');
await runHost({
  host,
  temporal: temporalSettings(host.config, noTemporalEnv),
  signal: stop.signal,
  graceSeconds: 1,
  onServing: () => log.info('takes work'),
});
