import { expect, test } from 'vitest';
import type { SegmentName } from '../../core/segment.ts';
import { requireEra } from '../../repository/eras.ts';
import { backupKey, walKey } from '../../repository/layout.ts';
import { readHead } from '../../wal/head.ts';
import { bytesOf, era as eraOfRecords, idOf, recordOf } from '../repository/support.ts';
import { withStore } from '../support/repositories.ts';
import { tempDir } from '../support/temp.ts';
import { openArchive, systemId } from './support.ts';

test('the frontier is followed from log to log, and no further log is asked for than it goes on into', async () => {
  const { cluster } = await openArchive(tempDir());
  const { store } = cluster.repository;
  const { era } = await requireEra(cluster.repository, 'shop');
  const lsns = { startLsn: '0/FFE00028', stopLsn: '0/FFE00130' };
  const record = { ...recordOf(idOf(1), { era, systemId, ...lsns }), signature: null };
  const text = JSON.stringify(record).replaceAll(eraOfRecords, era);
  await store.create(backupKey('shop', era, record.id), bytesOf(text));
  const archive = (name: string) =>
    store.create(walKey('shop', era, name as SegmentName, 'ab'.repeat(16), '.zst'), bytesOf('wal'));
  const lists: string[] = [];
  const counted = withStore(cluster, {
    create: store.create.bind(store),
    read: store.read.bind(store),
    remove: store.remove.bind(store),
    list: (prefix, options) => {
      lists.push(prefix);
      return store.list(prefix, options);
    },
  });
  const look = async () => {
    lists.length = 0;
    const { lsn } = (await readHead(counted)).frontier;
    return { lsn, logs: lists.filter((prefix) => prefix.includes('/wal/')).length };
  };

  await archive('000000010000000000000FFE');
  expect(await look()).toEqual({ lsn: '0/FFF00000', logs: 1 });
  await archive('000000010000000100000000');
  expect(await look()).toEqual({ lsn: '0/FFF00000', logs: 1 });
  await archive('000000010000000000000FFF');
  expect(await look()).toEqual({ lsn: '1/100000', logs: 2 });
});
