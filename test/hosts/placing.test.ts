import { describe, expect, test } from 'vitest';
import { type Answer, placeWork } from '../../core/placing.ts';
import { priorities } from '../../core/priority.ts';
import { features } from '../../core/request.ts';

const primary = (host: string): Answer => ({ host, role: 'primary', unfit: null });
const standby = (host: string, unfit: string | null = null): Answer => ({ host, role: 'standby', unfit });
const down = (host: string): Answer => ({ host, role: 'down', unfit: 'no server answers' });
const absent = (host: string): Answer => ({ host, absent: 'no worker' });

const hostOf = (...[feature, prefer, asked]: Parameters<typeof placeWork>): string => {
  const placing = placeWork(feature, prefer, asked);
  return 'host' in placing ? placing.host : `refused: ${placing.refused}`;
};

describe('work on a cluster that spans hosts goes', () => {
  const two = [primary('db-7'), standby('db-8')];

  test.each([
    ['backup', 'primary', two, 'db-7'],
    ['backup', 'standby', two, 'db-8'],
    ['backup', 'standby', [standby('db-7'), primary('db-8')], 'db-7'],
    ['backup', 'standby', [primary('db-7'), standby('db-8', 'its replay is paused'), standby('db-9')], 'db-9'],
    ['backup', 'standby', [primary('db-7'), down('db-8')], 'db-7'],
    ['backup', 'standby', [primary('db-7'), absent('db-8')], 'db-7'],
    ['backup', 'standby', [absent('db-7'), standby('db-8')], 'db-8'],
    ['drill', 'standby', two, 'db-7'],
    ['walSync', 'standby', [standby('db-7'), primary('db-8')], 'db-8'],
    ['copy', 'primary', two, 'db-8'],
    ['verify', 'primary', two, 'db-8'],
    ['expire', 'primary', [primary('db-7'), down('db-8')], 'db-7'],
    ['copy', 'primary', [down('db-7'), absent('db-8')], 'db-7'],
  ] as const)('%s, prefer %s: case %#', (feature, prefer, asked, host) => {
    expect(hostOf(feature, prefer, asked)).toBe(host);
  });

  test('nowhere without a primary, where it needs one, and says what each host has', () => {
    expect(hostOf('backup', 'primary', [down('db-7'), standby('db-8')])).toBe(
      'refused: db-7 has a server that cannot be asked (no server answers); db-8 has a standby',
    );
    expect(hostOf('drill', 'standby', [absent('db-7'), standby('db-8')])).toContain('refused: db-7 did not answer');
  });

  test('to the first of two primaries, and says that there are two', () => {
    const placing = placeWork('backup', 'primary', [primary('db-7'), primary('db-8')]);
    expect(placing).toMatchObject({ host: 'db-7', notes: [expect.stringContaining('db-8 has a primary, too')] });
  });

  test('to the primary instead of a standby never silently', () => {
    const placing = placeWork('backup', 'standby', [primary('db-7'), standby('db-8', 'its replay is paused')]);
    expect(placing).toMatchObject({
      host: 'db-7',
      primary: 'db-7',
      notes: ['taken from the primary, because no standby is fit for it: db-8 has a standby (its replay is paused)'],
    });
  });

  test('on, while a host is away, and names that host', () => {
    expect(placeWork('backup', 'standby', [absent('db-7'), standby('db-8')])).toEqual({
      host: 'db-8',
      primary: null,
      notes: ['db-7 did not answer: no worker'],
    });
  });
});

test('drills come last, restores and WAL first', () => {
  const order = [...features].sort((a, b) => priorities[a] - priorities[b]);
  expect(order.at(-1)).toBe('drill');
  expect(new Set(order.slice(0, 3))).toEqual(new Set(['restore', 'walSync', 'check']));
});
