import { expect, test } from 'vitest';
import { progressOn } from '../../client/session.ts';

test('a phase is told when it begins and when it changes, at most every two seconds, and never twice in the same words', () => {
  const said: string[] = [];
  let clock = 0;
  const progress = progressOn(
    (line) => void said.push(line),
    () => clock,
  );
  const waiting = (segments: number) => ({ phase: 'wait for WAL', note: `${segments} segments` });
  for (clock = 10_000; clock < 130_000; clock += 2000) progress(waiting(2));
  progress(waiting(1));
  clock += 100;
  progress(waiting(0));
  progress({ phase: 'look' });
  expect(said).toEqual(['  wait for WAL (2 segments)', '  wait for WAL (1 segments)', '  look']);
});
