import { hex8, type SegmentName, type TimelineId, timelineOf } from '../core/segment.ts';

/*
 * Where everything lies in a repository. Keys are made and read here only. The format is described for people in
 * docs/repository-format.md; this file and that page change together.
 */

export const formatVersion = 1;

export const repositoryKey = 'pgproof-repository.json';
export const readmeKey = 'README.txt';

/** What a stored object's name says of how it was coded, in the order it was applied. */
export type CodecSuffix = '.zst' | '.zst.enc';

/** @param prefix of the backups of an era, or of the dumps of a cluster. */
export const commitKey = (prefix: string, id: string): string => `${prefix}${id}.json`;
/** Each deleter writes one of its own, so that withdrawing one never withdraws another's. @param deleter 8 hex digits. */
export const tombstoneKey = (prefix: string, id: string, deleter: string): string =>
  `${prefix}${id}.${deleter}.deleted.json`;

export const keysPrefix = 'keys/';
/** A key set and all older ones, wrapped: they open with a passphrase, or with the identity of a recipient. @param wrapper `passphrase-` or `recipient-` and 8 hex digits. */
export const wrapperKey = (keyId: string, wrapper: string): string => `${keysPrefix}${keyId}/${wrapper}.json`;

export const eraPrefix = (cluster: string): string => `${cluster}/eras/`;
export const eraKey = (cluster: string, era: string): string => `${cluster}/eras/${era}.json`;

export const backupPrefix = (cluster: string, era: string): string => `${cluster}/${era}/backups/`;
/** The commit file: a backup exists from the moment this object does. */
export const backupKey = (cluster: string, era: string, id: string): string =>
  commitKey(backupPrefix(cluster, era), id);

export const eraBasePrefix = (cluster: string, era: string): string => `${cluster}/${era}/base/`;
export const basePrefix = (cluster: string, era: string, id: string): string => `${eraBasePrefix(cluster, era)}${id}/`;
/** @param tablespace `pgdata` for the data directory, otherwise the tablespace's OID. @param part counted from 1. */
export const partKey = (
  cluster: string,
  era: string,
  id: string,
  tablespace: string,
  part: number,
  suffix: CodecSuffix,
): string => `${basePrefix(cluster, era, id)}${tablespace}.${part}.tar${suffix}`;
export const manifestKey = (cluster: string, era: string, id: string, suffix: CodecSuffix): string =>
  `${basePrefix(cluster, era, id)}backup_manifest${suffix}`;

export const walPrefix = (cluster: string, era: string): string => `${cluster}/${era}/wal/`;
/** WAL is identified by its content: `tag` is 32 hex digits of it. */
export const walKey = (cluster: string, era: string, segment: SegmentName, tag: string, suffix: CodecSuffix): string =>
  `${walPrefix(cluster, era)}${hex8(timelineOf(segment))}/${segment.slice(0, 16)}/${segment}-${tag}${suffix}`;

export const timelinePrefix = (cluster: string, era: string): string => `${cluster}/${era}/timelines/`;
/** History files are small, hold no data, and stand in the clear. Their presence is the adoption of the timeline. */
export const historyKey = (cluster: string, era: string, timeline: TimelineId, tag: string): string =>
  `${timelinePrefix(cluster, era)}${hex8(timeline)}-${tag}.history`;

export const cutPrefix = (cluster: string, era: string): string => `${cluster}/${era}/cuts/`;
/** Which WAL was taken away, or is about to be: written before the first segment goes. */
export const cutKey = (cluster: string, era: string, id: string): string => `${cutPrefix(cluster, era)}${id}.json`;

export const holdPrefix = (cluster: string): string => `${cluster}/holds/`;
export const holdKey = (cluster: string, id: string): string => `${holdPrefix(cluster)}${id}.json`;
/** A hold begins by needing everything; this says what of it is needed for longer. */
export const narrowedHoldKey = (cluster: string, id: string): string => `${holdPrefix(cluster)}${id}.narrowed.json`;
/** Releasing is a create, too: a drill host may remove nothing. */
export const releasedHoldKey = (cluster: string, id: string): string => `${holdPrefix(cluster)}${id}.released.json`;

export const dumpPrefix = (cluster: string): string => `${cluster}/dumps/`;
/** The commit file of a dump. */
export const dumpKey = (cluster: string, id: string): string => commitKey(dumpPrefix(cluster), id);
export const dumpPartPrefix = (cluster: string, id: string): string => `${dumpPrefix(cluster)}${id}/`;
/** What a dump's stream is: one of pg_dump's formats (a directory lies in a tar), or SQL. */
export type DumpStream = 'dump.custom' | 'dump.directory.tar' | 'dump.tar' | 'dump.sql' | 'globals.sql';
/** @param part counted from 1. */
export const dumpPartKey = (
  cluster: string,
  id: string,
  stream: DumpStream,
  part: number,
  suffix: CodecSuffix,
): string => `${dumpPartPrefix(cluster, id)}${stream}.${part}${suffix}`;

export const ownerPrefix = (cluster: string): string => `${cluster}/owner/`;
/** @param number counted from 1; the highest is the owner. */
export const ownerKey = (cluster: string, number: number): string =>
  `${ownerPrefix(cluster)}${String(number).padStart(4, '0')}.json`;

export const reportPrefix = (cluster: string): string => `${cluster}/reports/`;
export const reportKey = (cluster: string, id: string): string =>
  `${cluster}/reports/${id.slice(0, 4)}/${id.slice(4, 6)}/${id}.json`;

/** What an object's ciphertext is bound to: its key without the codec's suffix, so that a copy elsewhere stays identical. */
export function associatedData(key: string): Uint8Array {
  return new TextEncoder().encode(key.replace(/\.zst(\.enc)?$/, ''));
}

export function parseWalKey(key: string): { segment: SegmentName; tag: string } | undefined {
  const match = /\/wal\/([0-9A-F]{8})\/([0-9A-F]{16})\/([0-9A-F]{24})-([0-9a-f]{32})\.zst(?:\.enc)?$/.exec(key);
  if (match === null || !match[3]?.startsWith(match[2] as string) || match[1] !== match[3].slice(0, 8))
    return undefined;
  return { segment: match[3] as SegmentName, tag: match[4] as string };
}

export function parseHistoryKey(key: string): { timeline: TimelineId; tag: string } | undefined {
  const match = /\/timelines\/([0-9A-F]{8})-([0-9a-f]{32})\.history$/.exec(key);
  return match === null ? undefined : { timeline: Number.parseInt(match[1] as string, 16), tag: match[2] as string };
}

/** Undefined also for a cluster that is called keys. */
export function parseWrapperKey(key: string): { keyId: string; wrapper: string } | undefined {
  const match = /^keys\/(key-[0-9TZ]+-[0-9a-f]{8})\/((?:passphrase|recipient)-[0-9a-f]{8})\.json$/.exec(key);
  return match === null ? undefined : { keyId: match[1] as string, wrapper: match[2] as string };
}
