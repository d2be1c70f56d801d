import { expect, test } from 'vitest';
import type { BackupRecord, DumpRecord } from '../../repository/record.ts';
import { emptyShelf } from '../../verify/census.ts';
import type { Known } from '../../verify/known.ts';
import { chooseToRestore } from '../../verify/to-restore.ts';
import { dumpIdOf, dumpRecordOf } from '../dumps/support.ts';
import { idOf, recordOf } from '../repository/support.ts';

const dump = (number: number, changes: Partial<DumpRecord> = {}): DumpRecord => ({
  ...dumpRecordOf(dumpIdOf(number), changes),
  signature: null,
});
const backup = (number: number): BackupRecord => ({ ...recordOf(idOf(number)), signature: null });
const known = (backups: BackupRecord[], records: DumpRecord[]): Known =>
  ({ eras: [{ records: backups }], dumps: { census: emptyShelf(), records } }) as unknown as Known;
const ids = ({ backups, dumps }: ReturnType<typeof chooseToRestore>) => [...backups, ...dumps].map(({ id }) => id);

test('--restore takes the newest backup and the newest dump of each database, and of each part that is dumped alone', () => {
  const dumps = [
    ...[dump(1), dump(2), dump(3, { content: 'schema' })],
    ...[dump(4, { database: 'crm' }), dump(5, { kind: 'globals', database: null })],
  ];
  expect(ids(chooseToRestore(known([backup(2), backup(1)], dumps), null, 'shop'))).toEqual([
    expect.stringContaining('-full-'),
    ...[2, 3, 4, 5].map(dumpIdOf),
  ]);
  expect(ids(chooseToRestore(known([], dumps), null, 'shop'))).toHaveLength(4);
  expect(() => chooseToRestore(known([], []), null, 'shop')).toThrow('no whole backup, and no whole dump');
});

test('--restore with an id takes that one, of whichever kind', () => {
  const both = known([backup(1)], [dump(1), dump(2)]);
  expect(ids(chooseToRestore(both, idOf(1).slice(0, 12), 'shop'))).toEqual([idOf(1)]);
  expect(ids(chooseToRestore(both, dumpIdOf(2).slice(0, 9), 'shop'))).toEqual([dumpIdOf(2)]);
  expect(() => chooseToRestore(both, '2026', 'shop')).toThrow(`'2026' begins 3 backups or dumps of 'shop'`);
  expect(() => chooseToRestore(both, '2027', 'shop')).toThrow(`cluster 'shop' has no backup or dump '2027'`);
});
