import { describe, expect, test } from 'vitest';
import { durationSeconds } from '../../core/duration.ts';
import { asPgproofError, errorKinds, PgproofError } from '../../core/errors.ts';
import { isRunId, runId } from '../../core/ids.ts';
import { isName, parseName } from '../../core/names.ts';
import { formatTarget, parseTarget } from '../../core/target.ts';

describe('a target', () => {
  test.each([
    ['2026-11-20 14:05:00+08:00', '2026-11-20T06:05:00Z'],
    ['2026-11-20T14:05:00Z', '2026-11-20T14:05:00Z'],
    ['2026-11-20 14:05+08', '2026-11-20T06:05:00Z'],
    ['2026-11-20 14:05:00.123456+00', '2026-11-20T14:05:00.123456Z'],
    ['2026-11-20 14:05:00 UTC', '2026-11-20T14:05:00Z'],
    ['2026-11-20 14:05:00 Asia/Shanghai', '2026-11-20T06:05:00Z'],
    ['2026-07-01 12:00:00 Europe/Berlin', '2026-07-01T10:00:00Z'],
    ['2026-12-01 12:00:00 Europe/Berlin', '2026-12-01T11:00:00Z'],
    ['2026-11-20 14:05:00-0330', '2026-11-20T17:35:00Z'],
  ])('time %j is %s', (text, value) => {
    expect(parseTarget(text)).toMatchObject({ type: 'time', value, inclusive: true, action: 'promote' });
  });

  test.each([
    ['2026-11-20 14:05:00', 'no offset or zone'],
    ['2026-10-25 02:30:00 Europe/Berlin', 'comes twice'],
    ['2026-03-29 02:30:00 Europe/Berlin', 'skip this hour'],
    ['2026-02-30 12:00:00Z', 'no such time'],
    ['2026-11-20 25:00:00Z', 'no such time'],
    ['2026-11-20 14:05:00 Mars/Olympus', "no time zone 'Mars/Olympus'"],
    ['yesterday', 'neither a time nor'],
    ['', 'neither a time nor'],
    ['xid:0', 'positive number'],
    ['xid:abc', 'positive number'],
    [`name:${'ä'.repeat(32)}`, 'at most 63 bytes'],
  ])('%j is refused, and quoted', (text, why) => {
    const refused = (): unknown => parseTarget(text);
    expect(refused).toThrow(why);
    expect(refused).toThrow(`'${text}'`);
  });

  test('an LSN that is none is refused as an LSN', () => {
    expect(() => parseTarget('lsn:5000028')).toThrow("'5000028' is not an LSN");
  });

  test.each(['latest', 'immediate', 'lsn:16/B374D848', 'xid:732', 'name:before: the release', 'backup:20261121T0524'])(
    '%j is written as it was read',
    (text) => {
      expect(formatTarget(parseTarget(text))).toBe(text);
    },
  );
});

describe('names', () => {
  test.each(['a', 'db-7', '0', 'x'.repeat(63)])('%j is one', (name) => expect(isName(name)).toBe(true));
  test.each(['', '-a', 'A', 'a.b', '../x', 'a/b', 'ä', 'a b', 'x'.repeat(64)])('%j is none', (name) => {
    expect(() => parseName('cluster', name)).toThrow(`cluster '${name}' is not a name`);
  });
});

test('ids sort by time, say what they are, and are recognised', () => {
  const id = runId(new Date('2026-11-20T14:05:01.999Z'), 'full', '3fa94c1e');
  expect(id).toBe('20261120T140501Z-full-3fa94c1e');
  expect(isRunId(id)).toBe(true);
  expect(isRunId('20261120T140501Z-full-3fa94c1e/../x')).toBe(false);
});

test('durations are whole numbers with a unit', () => {
  expect(['90s', '5m', '1h', '7d', '2w'].map(durationSeconds)).toEqual([90, 300, 3600, 604_800, 1_209_600]);
  expect(['5', '5 m', '-5m', '1.5h', '5M', ''].map(durationSeconds)).toEqual(Array(6).fill(undefined));
});

describe('errors', () => {
  test('carry code, facts and hint out of the process, and nothing of their cause', () => {
    const error = new PgproofError('no-space', 'there is no space', {
      facts: { free: 0 },
      hint: 'Free some.',
      cause: 'secret',
    });
    expect(error.toDocument()).toEqual({
      code: 'no-space',
      message: 'there is no space',
      facts: { free: 0 },
      hint: 'Free some.',
    });
    expect([error.permanent, error.exitCode]).toEqual([false, 1]);
  });

  test('of others become internal, and an abort becomes cancelled', () => {
    expect(asPgproofError(new TypeError('x is undefined')).code).toBe('internal');
    expect(asPgproofError(new DOMException('This operation was aborted', 'AbortError')).code).toBe('cancelled');
  });

  test('that touched nothing are wrong use; nothing that waiting may mend is', () => {
    for (const [code, { permanent, exit }] of Object.entries(errorKinds)) {
      if (exit === 2) expect(permanent, code).toBe(true);
    }
  });
});
