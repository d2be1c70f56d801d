import { type Logger, pino } from 'pino';

/** Logs go to stderr, because stdout belongs to the answer. */
export function createLogger(): Logger {
  return pino({ name: 'pgproof', level: 'info' }, pino.destination({ dest: 2, sync: true }));
}
