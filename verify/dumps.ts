import type { Affected } from '../core/verified.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readDumpRecord } from '../repository/dumps.ts';
import { dumpKey, dumpPartPrefix } from '../repository/layout.ts';
import type { DumpRecord } from '../repository/record.ts';
import type { ShelfCensus } from './census.ts';
import { type Damage, type Findings, nothingAffected } from './findings.ts';
import { inParallel, kindOf, type Looking } from './looking.ts';

/** The dumps, as far as their records can be read. */
export type KnownDumps = {
  census: ShelfCensus;
  /** Of committed dumps that are what they should be. */
  records: DumpRecord[];
};

const parallel = 8;

/** Reads the commit files of all dumps that nobody deleted. */
export async function readDumps(
  { repository, keys, name: cluster }: ProtectedCluster,
  census: ShelfCensus,
  looking: Looking,
  findings: Findings,
): Promise<KnownDumps> {
  const records: DumpRecord[] = [];
  const { signal } = looking;
  const standing = [...census.commits].filter((id) => !census.tombstones.has(id)).sort();
  await inParallel(standing, parallel, async (id) => {
    const key = dumpKey(cluster, id);
    const look = await looking.at(key, () => readDumpRecord(repository, keys, cluster, id, { signal }));
    if (look.state === 'whole') records.push(look.value);
    else if (look.state !== 'unread')
      findings.add({ object: key, kind: kindOf(look.state), why: look.why, subject: { of: 'dump', id } });
  });
  return { census, records: records.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** What findings about dumps make unrestorable, by the finding's object: a dump stands alone. */
export function affectedDumps(cluster: string, damages: readonly Damage[]): Map<string, Affected> {
  const result = new Map<string, Affected>();
  for (const { object, subject, kind } of damages) {
    if (subject.of !== 'dump' || kind === 'foreign') continue;
    const { id } = subject;
    const isGlobals = object.startsWith(`${dumpPartPrefix(cluster, id)}globals.`);
    result.set(object, { ...nothingAffected, ...(isGlobals ? { globals: [id] } : { dumps: [id] }) });
  }
  return result;
}
