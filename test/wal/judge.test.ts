import { describe, expect, test } from 'vitest';
import type { Lsn } from '../../core/lsn.ts';
import type { TimelineId } from '../../core/segment.ts';
import { parseHistory } from '../../core/timeline.ts';
import { readWalHeader } from '../../postgres/walpage.ts';
import type { EraRecord } from '../../repository/record.ts';
import { judgeHistory, judgeSegment, type Known } from '../../wal/judge.ts';
import type { Leader } from '../../wal/leader.ts';
import { type AdoptedHistory, lineageOf } from '../../wal/lineage.ts';
import { mib, seg, segmentOf, systemId } from './support.ts';

const era = (facts: Partial<EraRecord> = {}) =>
  ({ era: `0001-pg18-${systemId}`, systemId, segmentBytes: mib, timeline: 1, ...facts }) as EraRecord;
const leader = (facts: Partial<Leader> = {}): Leader => ({
  systemId,
  timeline: 1,
  insertLsn: '0/A00028' as Lsn,
  lastArchived: null,
  ...facts,
});
const history = (timeline: TimelineId, text: string): [TimelineId, AdoptedHistory] => [
  timeline,
  { text, entries: parseHistory(`0000000${timeline}.history`, text) },
];
const onOne: Known = { lineages: [lineageOf(era(), new Map())], leader: leader(), problem: undefined };
const toTwo = '1\t0/480000\tno recovery target specified\n';
const onTwo: Known = {
  lineages: [lineageOf(era(), new Map([history(2, toTwo)]))],
  leader: leader({ timeline: 2 }),
  problem: undefined,
};
const alone = (known: Known): Known => ({ ...known, leader: undefined });

function judge(name: string, known: Known, facts: Parameters<typeof segmentOf>[1] & { as?: string } = {}) {
  const content = segmentOf(name, facts);
  const judged = judgeSegment(
    (facts.as ?? name) as ReturnType<typeof seg>,
    content.length,
    readWalHeader(content),
    known,
  );
  return judged.verdict === 'ship' || judged.verdict === 'release'
    ? judged.verdict
    : `${judged.verdict} ${judged.error.code}`;
}

describe('a segment', () => {
  test('of the adopted timeline is shipped, also when the server is down', () => {
    expect(judge(seg(3), onOne)).toBe('ship');
    expect(judge(seg(3), alone(onOne))).toBe('ship');
  });

  test('that is not what its name says is refused', () => {
    expect(judge(seg(3), onOne, { as: seg(4) })).toBe('refuse wal-foreign');
    expect(judge(seg(3), onOne, { segmentBytes: 2 * mib })).toBe('refuse wal-foreign');
    expect(judge(seg(3), onOne, { timeline: 2 })).toBe('refuse wal-foreign');
  });

  test('scenario 21: of another system is refused when the server is not that system, and waits while nobody can tell', () => {
    expect(judge(seg(3), onOne, { systemId: '99' })).toBe('refuse wal-foreign');
    expect(judge(seg(3), alone(onOne), { systemId: '99' })).toBe('wait era-mismatch');
  });

  test('scenario 21: after pg_upgrade the new server’s WAL waits for its era, and the old one’s still goes to its own', () => {
    const upgraded: Known = { ...onOne, leader: leader({ systemId: '99' }) };
    expect(judge(seg(3), upgraded, { systemId: '99' })).toBe('wait era-mismatch');
    expect(judge(seg(3), upgraded)).toBe('ship');
    const declared: Known = {
      ...upgraded,
      lineages: [lineageOf(era({ era: '0002-pg18-99', systemId: '99' }), new Map()), ...onOne.lineages],
    };
    expect(judge(seg(3), declared, { systemId: '99' })).toBe('ship');
    expect(judge(seg(9), declared)).toBe('ship');
  });

  test('scenario 22: of a timeline that the server is not on is refused, and waits while the server is down', () => {
    expect(judge(seg(3, 2), onOne)).toBe('refuse timeline-not-adopted');
    expect(judge(seg(3, 2), alone(onOne))).toBe('wait timeline-not-adopted');
    // A standby, or another system at the address: nobody who could tell.
    expect(judge(seg(3, 2), { ...onOne, leader: leader({ systemId: '99' }) })).toBe('wait timeline-not-adopted');
  });

  test('scenario 22: of a timeline that ended is taken up to its end, also when the server is down', () => {
    for (const known of [onTwo, alone(onTwo)]) {
      expect(judge(seg(4), known)).toBe('ship');
      expect(judge(seg(5), known)).toBe('refuse wal-foreign');
      expect(judge(seg(4, 2), known, { timeline: 1 })).toBe('ship');
      expect(judge(seg(3, 2), known)).toBe('refuse wal-foreign');
    }
  });

  test('scenario 20: from the future of the server is somebody else’s', () => {
    expect(judge(seg(9), onOne)).toBe('ship');
    expect(judge(seg(10), onOne)).toBe('refuse wal-foreign');
    expect(judge(seg(10), { ...onOne, leader: leader({ insertLsn: '0/B00000' as Lsn }) })).toBe('ship');
  });

  test('of a timeline with two history files waits for a person, and others go on', () => {
    const lineage = lineageOf(era(), new Map(), new Set([2]));
    const contested: Known = { lineages: [lineage], leader: leader({ timeline: 2 }), problem: undefined };
    expect(judge(seg(3, 2), contested)).toBe('wait wal-conflict');
    expect(judge(seg(3), contested)).toBe('ship');
  });
});

describe('a history file', () => {
  const judgeText = (name: string, text: string, known: Known) => judgeHistory(name, text, known).verdict;

  test('that was adopted already is released', () => {
    expect(judgeText('00000002.history', toTwo, onTwo)).toBe('release');
    expect(judgeText('00000002.history', toTwo, alone(onTwo))).toBe('release');
  });

  test('scenario 22: that differs from the adopted one is refused, and waits while the server is down', () => {
    expect(judgeText('00000002.history', '1\t0/500000\tmine\n', onTwo)).toBe('refuse');
    expect(judgeText('00000002.history', '1\t0/500000\tmine\n', alone(onTwo))).toBe('wait');
  });

  test('of an unknown timeline is refused, and waits while the server is down', () => {
    expect(judgeText('00000003.history', '1\t0/480000\tx\n2\t0/600000\ty\n', onTwo)).toBe('refuse');
    expect(judgeText('00000003.history', '1\t0/480000\tx\n2\t0/600000\ty\n', alone(onTwo))).toBe('wait');
  });

  test('of an ancestor is taken when it says the same as its heir', () => {
    const toThree = '1\t0/480000\tx\n2\t0/600000\ty\n';
    const lineages = [lineageOf(era(), new Map([history(3, toThree)]))];
    const onThree: Known = { lineages, leader: leader({ timeline: 3 }), problem: undefined };
    expect(judgeText('00000002.history', toTwo, onThree)).toBe('ship');
    expect(judgeText('00000002.history', '1\t0/480001\tx\n', onThree)).toBe('refuse');
  });

  test('that nobody can read is refused', () => {
    expect(judgeText('00000002.history', 'rubbish', onOne)).toBe('refuse');
  });
});
