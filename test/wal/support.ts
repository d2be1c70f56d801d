import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionConfig } from '../../core/config.ts';
import type { Lsn } from '../../core/lsn.ts';
import { type SegmentName, segmentStart, timelineOf } from '../../core/segment.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { declareEra } from '../../repository/eras.ts';
import { generateKeyFile, readKeyFile } from '../../repository/key-file.ts';
import { noKeys } from '../../repository/keys.ts';
import { assertOwner } from '../../repository/owner.ts';
import { initRepository } from '../../repository/repository.ts';
import { listWal, readSegment } from '../../repository/wal.ts';
import { makeSpool, type Spool } from '../../wal/spool.ts';
import { withRepositories } from '../support/repositories.ts';

export const mib = 1024 * 1024;
export const systemId = '7300000000000000001';
export const signal = new AbortController().signal;

/** Nobody listens there: whatever needs the server's word has to wait. */
export const noServer: ConnectionConfig = { socket: '/nonexistent', port: 5432, user: 'nobody', database: 'postgres' };

export type Archive = {
  cluster: ProtectedCluster;
  spool: Spool;
  /** Puts a file into the spool as archive-wal does. */
  publish(name: string, content: Uint8Array): void;
  waiting(): string[];
  foreign(): string[];
  /** Names in the archive of the current era, with the number of their contents. */
  archived(): Promise<Record<string, number>>;
  /** The archived content of a segment; fails where there is none, or two. */
  content(segment: string): Promise<Uint8Array>;
};

/** A cluster of one host with a repository of its own, without a server: an era of 1 MiB segments is declared by hand. */
export async function openArchive(
  dir: string,
  options: {
    connection?: ConnectionConfig;
    key?: boolean;
    era?: false | { systemId?: string; major?: number; segmentBytes?: number; timeline?: number; insertLsn?: string };
  } = {},
): Promise<Archive> {
  const state = join(dir, 'state');
  const folder = (name: string) => join(state, name);
  const paths = {
    state,
    spool: folder('spool'),
    backups: folder('backups'),
    dumps: folder('dumps'),
    plans: folder('plans'),
    fetch: folder('fetch'),
    drills: folder('drills'),
    scripts: folder('bin'),
  };
  for (const path of Object.values(paths)) mkdirSync(path, { recursive: true, mode: 0o700 });
  const repository = await initRepository('local', { type: 'file', path: join(dir, 'repository') });
  const keyFile = join(dir, 'main.key');
  if (options.key && !existsSync(keyFile)) await generateKeyFile(keyFile);
  const keys = options.key ? await readKeyFile(keyFile) : noKeys;
  const cluster: ProtectedCluster = {
    name: 'shop',
    fleet: 'main',
    host: 'db-7',
    config: {
      host: ['db-7'],
      prefer: 'primary',
      connection: options.connection ?? noServer,
      tools: { bin: 'auto' },
      wal: { mode: 'archive', acknowledge: 'spool', heartbeat: 1 },
      repositories: ['local'],
      write: 'first',
      retention: { minimum: 1, dumps: {}, repositories: {} },
      objectives: { rpo: 300 },
      schedules: {},
      dumps: { databases: 'all', perDatabase: {} },
      drills: { checks: [] },
    },
    ...withRepositories([repository]),
    keys,
    walKeys: keys,
    paths,
    sink: null,
  };
  await assertOwner(repository, cluster);
  if (options.era !== false) await newEra(cluster, options.era);
  return archiveOf(cluster, await makeSpool(paths.spool));
}

/** Declares an era from facts instead of a server. */
export async function newEra(
  cluster: ProtectedCluster,
  facts: { systemId?: string; major?: number; segmentBytes?: number; timeline?: number; insertLsn?: string } = {},
) {
  const insertLsn = (facts.insertLsn ?? '0/100000') as Lsn;
  const whole = { systemId, major: 18, segmentBytes: mib, timeline: 1, inRecovery: false, ...facts, insertLsn };
  return declareEra(cluster.repository, cluster, cluster.name, whole);
}

function archiveOf(cluster: ProtectedCluster, spool: Spool): Archive {
  const era = async () => {
    const { currentEra } = await import('../../repository/eras.ts');
    return (await currentEra(cluster.repository, cluster.name))?.era as string;
  };
  const listing = async () => listWal(cluster.repository, cluster.name, await era());
  return {
    cluster,
    spool,
    publish: (name, content) => writeFileSync(join(spool.incoming, name), content, { flag: 'wx' }),
    waiting: () => readdirSync(spool.incoming).sort(),
    foreign: () =>
      readdirSync(spool.foreign)
        .filter((name) => !name.endsWith('.json'))
        .map((name) => name.replace(/-[0-9a-f]{32}$/, ''))
        .sort(),
    archived: async () => Object.fromEntries([...(await listing())].map(([name, tags]) => [name, tags.length])),
    content: async (name) => {
      const [tag, ...more] = (await listing()).get(name as SegmentName) ?? [];
      if (tag === undefined || more.length > 0) throw new Error(`${name} has not exactly one content`);
      return readSegment(cluster.repository, cluster.walKeys, cluster.name, await era(), name as SegmentName, tag);
    },
  };
}

/** A segment with a true first page and random bytes behind it. */
export function segmentOf(
  name: string,
  facts: { systemId?: string; segmentBytes?: number; timeline?: number } = {},
): Buffer {
  const segmentBytes = facts.segmentBytes ?? mib;
  const content = randomBytes(segmentBytes);
  const start = segmentStart(name.slice(0, 24) as SegmentName, segmentBytes);
  const [high, low] = start.split('/').map((part) => BigInt(`0x${part}`)) as [bigint, bigint];
  content.writeUInt16LE(0xd118, 0);
  content.writeUInt16LE(0x0002, 2);
  content.writeUInt32LE(facts.timeline ?? timelineOf(name), 4);
  content.writeBigUInt64LE((high << 32n) | low, 8);
  content.writeBigUInt64LE(BigInt(facts.systemId ?? systemId), 24);
  content.writeUInt32LE(segmentBytes, 32);
  content.writeUInt32LE(8192, 36);
  return content;
}

/** `seg(3)` is 000000010000000000000003; with 1 MiB segments. */
export const seg = (number: number, timeline = 1): SegmentName =>
  `${timeline.toString(16).padStart(8, '0')}00000000${number.toString(16).padStart(8, '0')}`.toUpperCase() as SegmentName;
