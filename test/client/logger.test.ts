import { pino } from 'pino';
import { expect, test } from 'vitest';
import { withPriority } from '../../client/logger.ts';

test('each line for the journal begins with its level in systemd’s numbers, so that -p err finds alarms', () => {
  const lines: string[] = [];
  const log = pino({ name: 'pgproof' }, withPriority({ write: (line) => void lines.push(line) }));
  log.info('ships');
  log.warn({ cluster: 'shop' }, 'late');
  log.error({ level: 10 }, 'WAL alarm');
  expect(lines.map((line) => line.slice(0, 3))).toEqual(['<6>', '<4>', '<3>']);
  expect(lines.every((line) => line.endsWith('\n'))).toBe(true);
});
