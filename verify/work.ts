import type { SegmentName } from '../core/segment.ts';
import { dumpParts } from '../repository/dumps.ts';
import { walKey } from '../repository/layout.ts';
import type { BackupRecord, DumpRecord, StoredPart } from '../repository/record.ts';
import type { WalObject } from './census.ts';
import type { Known } from './known.ts';

/** One object whose bytes can be read back. */
export type Item = { key: string; bytes: number } & (
  | { of: 'backup'; era: string; record: BackupRecord; part: StoredPart; listed: number | undefined }
  | { of: 'dump'; record: DumpRecord; part: StoredPart; listed: number | undefined }
  | { of: 'wal'; era: string; segment: SegmentName; tag: string; segmentBytes: number }
);

/** Everything that has bytes to compare: parts of backups and dumps that are committed, and WAL. */
export function* itemsOf(cluster: string, { eras, dumps }: Known): Generator<Item> {
  for (const record of dumps.records) {
    const there = dumps.census.parts.get(record.id);
    for (const part of dumpParts(record))
      yield { of: 'dump', record, part, listed: there?.get(part.key), key: part.key, bytes: part.storedBytes };
  }
  for (const { name: era, census, records, record: eraRecord } of eras) {
    for (const record of records) {
      const there = census.parts.get(record.id);
      for (const part of partsOf(record)) {
        const listed = there?.get(part.key);
        yield { of: 'backup', era, record, part, listed, key: part.key, bytes: part.storedBytes };
      }
    }
    const segmentBytes = eraRecord?.segmentBytes ?? records[0]?.segmentBytes;
    if (segmentBytes === undefined) continue; // the era's own document is a finding
    for (const [segment, objects] of census.wal) {
      for (const object of objects) {
        const key = walObjectKey(cluster, era, segment, object);
        yield { of: 'wal', era, segment, tag: object.tag, segmentBytes, key, bytes: object.bytes };
      }
    }
  }
}

export const partsOf = (record: BackupRecord): StoredPart[] => [
  ...record.tablespaces.flatMap(({ parts }) => parts),
  record.manifest,
];

export const walObjectKey = (cluster: string, era: string, segment: SegmentName, object: WalObject): string =>
  walKey(cluster, era, segment, object.tag, object.encrypted ? '.zst.enc' : '.zst');
