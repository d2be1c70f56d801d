import { fstatSync } from 'node:fs';
import { type DestinationStream, type Logger, pino } from 'pino';

/** Logs go to stderr, because stdout belongs to the answer; with systemd's levels where stderr is its journal. */
export function createLogger(): Logger {
  const stderr = pino.destination({ dest: 2, sync: true });
  return pino({ name: 'pgproof', level: 'info' }, isJournal() ? withPriority(stderr) : stderr);
}

/** Source: systemd.exec(5), $JOURNAL_STREAM: device and inode, because a child's stderr may be something else. */
function isJournal(): boolean {
  const { dev, ino } = fstatSync(2);
  return process.env.JOURNAL_STREAM === `${dev}:${ino}`;
}

/** So that `journalctl -p err` shows the alarms. Source: sd-daemon(3). */
export function withPriority(to: DestinationStream): DestinationStream {
  return {
    write: (line) => {
      const level = Number(/^\{"level":(\d+)/.exec(line)?.[1] ?? 30);
      to.write(`<${level >= 60 ? 2 : level >= 50 ? 3 : level >= 40 ? 4 : level >= 30 ? 6 : 7}>${line}`);
    },
  };
}
