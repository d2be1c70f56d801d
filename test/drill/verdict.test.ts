import { describe, expect, test } from 'vitest';
import { type ErrorCode, PgproofError } from '../../core/errors.ts';
import { whyFailed } from '../../drill/dump-failure.ts';
import { verdictOf } from '../../drill/verdict.ts';

const ok = { name: 'marker-a-present', passed: true, detail: 'it is there' };
const no = { name: 'marker-b-absent', passed: false, detail: 'it is THERE' };
const unknown = { name: 'orders', passed: null, detail: 'permission denied' };

describe('the verdict of a drill', () => {
  test('is passed when every check ran and held', () => {
    expect(verdictOf([ok, ok], null)).toEqual({ verdict: 'passed', verdictReason: null });
  });

  test('is never passed when a named check could not run', () => {
    const { verdict, verdictReason } = verdictOf([ok, unknown], null);
    expect(verdict).toBe('inconclusive');
    expect(verdictReason).toBe('could not run: orders: permission denied');
  });

  test('is failed when a check says no, whatever else could not run', () => {
    const { verdict, verdictReason } = verdictOf([ok, no, unknown], null);
    expect(verdict).toBe('failed');
    expect(verdictReason).toBe('marker-b-absent: it is THERE');
  });

  test('is inconclusive when nothing was checked', () => {
    expect(verdictOf([], null).verdict).toBe('inconclusive');
  });

  test.each<ErrorCode>([
    'object-missing',
    'object-damaged',
    'signature-invalid',
    'target-unreachable',
    'wal-conflict',
    'recovery-unreached',
    'restore-unverified',
    'dump-restore-failed',
  ])('is failed when the repository does not hold what it should: %s', (code) => {
    expect(verdictOf([ok, unknown], new PgproofError(code, 'no')).verdict).toBe('failed');
  });

  test.each<ErrorCode>([
    'store-unreachable',
    'no-space',
    'timeout',
    'server-unreachable',
    'tool-failed',
    'segment-not-archived',
    'tablespace-outside',
    'rights-missing',
    'internal',
  ])('is inconclusive when the drill itself could not be carried out: %s', (code) => {
    expect(verdictOf([ok, unknown], new PgproofError(code, 'no')).verdict).toBe('inconclusive');
  });

  test('is inconclusive when a recovery failed because the store was away', () => {
    const away = new PgproofError('store-unreachable', 'no answer');
    const failed = new PgproofError('recovery-failed', 'recovery ended', { cause: away });
    expect(verdictOf([unknown], failed).verdict).toBe('inconclusive');
    expect(verdictOf([unknown], new PgproofError('recovery-failed', 'recovery ended')).verdict).toBe('failed');
  });

  test('gives the error that decided it as its reason', () => {
    expect(verdictOf([], new PgproofError('schema-missing', 'no schema pgproof')).verdictReason).toBe(
      'no schema pgproof [schema-missing]',
    );
  });
});

describe('a dump that does not restore', () => {
  const failed = (said: string, hasRoles = true): string =>
    whyFailed(new PgproofError('dump-restore-failed', 'pg_restore failed', { facts: { errors: [said] } }), hasRoles)
      .code;

  test.each([
    ['could not write to file "base/1/2": No space left on device', 'no-space'],
    ['could not extend file "base/16391/16392": wrote only 4096 of 8192 bytes at block 4282', 'no-space'],
    ['server closed the connection unexpectedly', 'tool-failed'],
    ['extension "postgis" is not available', 'dump-unfit'],
    ['invalid LC_COLLATE locale name: "de_CH.UTF-8"', 'dump-unfit'],
  ])('proves nothing where it is this host that failed: %s', (said, code) => {
    expect(failed(said)).toBe(code);
  });

  test('fails its drill where a statement fails, or a role is missing that its globals ought to have', () => {
    expect(failed('new row violates check constraint')).toBe('dump-restore-failed');
    expect(failed('role "ann" does not exist')).toBe('dump-restore-failed');
    expect(failed('role "ann" does not exist', false)).toBe('dump-unfit');
  });
});
