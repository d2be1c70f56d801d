import { expect, test } from 'vitest';
import { abortReason, throwIfAborted } from '../../core/abort.ts';
import { asPgproofError, errorKinds, hasCode, isErrorCode, PgproofError } from '../../core/errors.ts';

test('an error keeps its code, facts and hint on its way out, and its cause out of the document', () => {
  const error = new PgproofError('cluster-busy', 'the cluster is busy', {
    facts: { holder: 'x' },
    hint: 'Wait.',
    cause: new Error('secret'),
  });
  expect(error.toDocument()).toEqual({
    code: 'cluster-busy',
    message: 'the cluster is busy',
    facts: { holder: 'x' },
    hint: 'Wait.',
  });
  expect(error.permanent).toBe(false);
  expect(error.exitCode).toBe(1);
  expect(hasCode(error, 'timeout', 'cluster-busy')).toBe(true);
  expect(hasCode(new Error('cluster-busy'), 'cluster-busy')).toBe(false);
  expect(isErrorCode('toString')).toBe(false);
  for (const code of Object.keys(errorKinds)) expect(isErrorCode(code)).toBe(true);
});

test('an error that is said again keeps what it was, and its first cause', () => {
  const cause = new Error('the first one');
  const error = new PgproofError('no-space', 'no space left', {
    facts: { path: 'a', free: 0 },
    hint: 'Make room.',
    cause,
  });
  const retold = error.retold({ message: 'the copy: no space left', facts: { path: 'b', report: 'r' } });
  expect(retold.toDocument()).toEqual({
    code: 'no-space',
    message: 'the copy: no space left',
    facts: { path: 'b', free: 0, report: 'r' },
    hint: 'Make room.',
  });
  expect(retold.cause).toBe(cause);
  expect(error.retold({ hint: null })).toMatchObject({ message: 'no space left', hint: null });
  const first = new PgproofError('timeout', 'x');
  expect(first.retold({}).cause).toBe(first);
});

test('anything thrown becomes one of ours', () => {
  expect(asPgproofError(new Error('boom'))).toMatchObject({ code: 'internal', message: 'boom' });
  expect(asPgproofError('boom')).toMatchObject({ code: 'internal', message: 'boom' });
  expect(asPgproofError(new DOMException('x', 'AbortError'))).toMatchObject({ code: 'cancelled' });
});

test('whoever was told to stop hears why', () => {
  expect(abortReason(AbortSignal.abort())).toMatchObject({ code: 'cancelled' });
  expect(abortReason(AbortSignal.abort(new DOMException('over', 'TimeoutError')))).toMatchObject({ code: 'timeout' });
  expect(abortReason(AbortSignal.abort(new PgproofError('cluster-busy', 'x')))).toMatchObject({ code: 'cluster-busy' });
  expect(abortReason(AbortSignal.abort('a reason'))).toMatchObject({ code: 'cancelled' });
  expect(() => throwIfAborted(undefined)).not.toThrow();
  expect(() => throwIfAborted(AbortSignal.abort())).toThrow(expect.objectContaining({ code: 'cancelled' }));
});
