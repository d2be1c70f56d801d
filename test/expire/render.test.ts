import { expect, test } from 'vitest';
import { type ExpiredRepository, noDumps } from '../../core/expired.ts';
import { expireError } from '../../expire/cluster.ts';
import { renderExpired } from '../../report/render/expire.ts';

const done: ExpiredRepository = {
  repository: 'local',
  outcome: 'done',
  kept: [{ era: 'e', id: 'b2', reasons: [{ rule: 'last', because: 'among the last 1' }] }],
  keptBackups: 1,
  deleted: [
    { era: 'e', id: 'b1', why: 'not needed for the last 1', outcome: 'deleted', detail: null, bytes: 10 },
    { era: 'e', id: 'b0', why: 'not needed for the last 1', outcome: 'retained', detail: "'k' until 2027", bytes: 0 },
  ],
  deletedBackups: 1,
  wal: [
    {
      era: 'e',
      cuts: [{ timeline: 1, from: '0/1000000', to: '0/3000000' }],
      segments: 2,
      bytes: 2_000_000,
      retained: 1,
      stays: 4,
      stayed: null,
    },
  ],
  refusals: [],
  dumps: noDumps,
  notes: ['Run a drill.'],
  endedHolds: 1,
  error: null,
};

test('an expire that is done tells each backup with its rule, and the WAL that went', () => {
  expect(renderExpired(done)).toBe(`  expire      local: done
  backups     1 deleted, 1 kept
  WAL         e: 2 segments deleted, 2.0 MB, 1 retained by the store for now, 4 stay
              timeline 1 from 0/1000000 to 0/3000000
  holds       1 had ended, and is gone

  deleted
    b1  not needed for the last 1
    b0  retained: 'k' until 2027

  kept
    b2  last: among the last 1

  notes
    Run a drill.`);
});

test('one that is refused says why, and deletes nothing', () => {
  const text = renderExpired({ ...done, outcome: 'refused', refusals: ['8 of 10 backups would go, more than half'] });
  expect(text).toContain('local: nothing was deleted\n  REFUSED     8 of 10 backups would go, more than half');
  expect(text).toContain('1 would go, 1 would stay');
});

test('one that a person confirmed does not read as refused', () => {
  const text = renderExpired({ ...done, refusals: ['8 of 10 backups would go, more than half'] });
  expect(text).toContain('local: done\n  confirmed   8 of 10 backups would go, more than half');
  expect(text).not.toContain('REFUSED');
});

test('who confirms one that was refused confirms it for its repository, whatever was deleted in others', () => {
  const refused: ExpiredRepository = { ...done, outcome: 'refused', refusals: ['8 of 10 backups would go'] };
  const error = (repositories: ExpiredRepository[]) => expireError('shop', { confirmed: false, repositories });
  expect(error([done, { ...refused, repository: 'far' }])).toMatchObject({
    code: 'expire-refused',
    message: 'nothing of shop was deleted in far: 8 of 10 backups would go',
    hint: expect.stringContaining('`pgproof expire shop --repository far --yes`'),
  });
  expect(error([refused, { ...refused, repository: 'far' }])?.hint).toContain('`pgproof expire shop --yes`');
  expect(error([done])).toBeUndefined();
});
