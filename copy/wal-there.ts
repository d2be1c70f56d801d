import { PgproofError } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import { hex8, type SegmentName, segmentsBetween, timelineOf } from '../core/segment.ts';
import { parseWalKey, walPrefix } from '../repository/layout.ts';
import type { BackupRecord, EraRecord } from '../repository/record.ts';
import type { Copying } from './copying.ts';

/**
 * Makes sure that the target itself holds all WAL from the backup's start to its stop (invariant 1).
 * @throws {PgproofError} `segment-not-archived`, naming the first that is missing or was refused; `wal-conflict`.
 */
export async function assertWalThere(copying: Copying, era: EraRecord, record: BackupRecord): Promise<void> {
  const { to, tally } = copying;
  const { id, startLsn, stopLsn, timeline } = record;
  let listed: { log: string; keys: Map<SegmentName, string[]> } | undefined;
  for (const segment of segmentsBetween(startLsn as Lsn, stopLsn as Lsn, timeline, era.segmentBytes)) {
    const log = segment.slice(0, 16);
    if (listed?.log !== log) listed = { log, keys: await keysOfLog(copying, era, segment) };
    const keys = listed.keys.get(segment) ?? [];
    const refused = keys.find((key) => tally.isRefused(key));
    if (keys.length === 0 || refused !== undefined) {
      throw new PgproofError(
        'segment-not-archived',
        `backup ${id} needs segment ${segment}, and repository '${to.name}' ${refused === undefined ? 'does not have it' : 'has it damaged'}`,
        { facts: { backup: id, segment, repository: to.name } },
      );
    }
    const tags = new Set(keys.map((key) => parseWalKey(key)?.tag));
    if (tags.size > 1) {
      throw new PgproofError(
        'wal-conflict',
        `backup ${id} needs segment ${segment}, and repository '${to.name}' has ${tags.size} different contents of it`,
        { facts: { backup: id, segment, repository: to.name, tags: [...tags] as string[] } },
      );
    }
  }
}

/** The 4 GiB of WAL that the segment lies in: one small listing. */
async function keysOfLog(
  { to, cluster, run }: Copying,
  { era }: EraRecord,
  segment: SegmentName,
): Promise<Map<SegmentName, string[]>> {
  const prefix = `${walPrefix(cluster, era)}${hex8(timelineOf(segment))}/${segment.slice(0, 16)}/`;
  const keys = new Map<SegmentName, string[]>();
  for await (const { key } of to.store.list(prefix, { signal: run.signal })) {
    const found = parseWalKey(key);
    if (found !== undefined) keys.set(found.segment, [...(keys.get(found.segment) ?? []), key]);
  }
  return keys;
}
