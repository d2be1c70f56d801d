import { describe, expect, test } from 'vitest';
import { type ErrorCode, PgproofError } from '../../core/errors.ts';
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
