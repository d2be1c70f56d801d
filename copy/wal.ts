import { hasCode, PgproofError } from '../core/errors.ts';
import type { SegmentName } from '../core/segment.ts';
import { isCut, listCuts } from '../repository/cuts.ts';
import { parseWalKey, walPrefix } from '../repository/layout.ts';
import type { EraRecord } from '../repository/record.ts';
import type { Repository } from '../repository/repository.ts';
import { readSegment } from '../repository/wal.ts';
import { readBytes } from '../storage/bytes.ts';
import { byFolder, type Compared, compare } from './compare.ts';
import type { Copying } from './copying.ts';
import { giveWay } from './give-way.ts';
import { holding } from './holding.ts';
import { sendFolder } from './send.ts';
import { readSource, sendBytes } from './transfer.ts';

/** Segments are checked in memory, as stored and plain; those of a gigabyte one at a time. */
const walMemory = 512 * 1024 * 1024;

/**
 * Copies an era's WAL as stored. A segment whose content does not fit its tag is not copied: at the target it would look like
 * one that is there.
 * @param wanted which segments; @defaultValue all
 */
export async function copyWal(
  copying: Copying,
  era: EraRecord,
  wanted: (segment: SegmentName) => boolean = () => true,
): Promise<void> {
  const { to, cluster, tally, run } = copying;
  // What expired there is not brought back.
  const cuts = await listCuts(to, cluster, era.era, { signal: run.signal });
  if (!copying.again) tally.begin(`WAL of ${era.era}`);
  const width = Math.max(1, Math.min(copying.width, Math.floor(walMemory / (2 * era.segmentBytes))));
  const compared = compare(copying, walPrefix(cluster, era.era));
  for await (const { folder, objects } of byFolder(compared)) {
    const segments = objects.filter(({ key }) => {
      const found = parseWalKey(key);
      return found !== undefined && wanted(found.segment) && !isCut(found.segment, cuts, era.segmentBytes);
    });
    await sendFolder({ ...copying, width }, { folder, objects: segments }, (object, signal) =>
      sendSegment(copying, era, object, signal),
    );
  }
}

async function sendSegment(
  copying: Copying,
  era: EraRecord,
  { key, there }: Compared,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { from, to, tally } = copying;
  const bytes = await readSource(copying, key, storedLimit(era), signal);
  const opened = await opens(copying, era, from, key, bytes, signal);
  if (there !== undefined) {
    if (!opened) throw undecided(key, to.name);
    // The same content, compressed by another version: both are right.
    if (await isWhole(copying, era, key, signal)) return undefined;
    await giveWay(copying, key, signal);
  }
  if (!opened) tally.unopened += 1;
  await sendBytes(copying, key, bytes, signal);
  return bytes.length;
}

/**
 * Whether the bytes were looked into and hold what the key says.
 * @returns false where the keys at hand do not open it: a host that only writes.
 * @throws {PgproofError} `object-damaged`
 */
async function opens(
  { walKeys, cluster }: Copying,
  era: EraRecord,
  repository: Repository,
  key: string,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<boolean> {
  const { segment, tag } = parseWalKey(key) as { segment: SegmentName; tag: string };
  const options = { signal, maxBytes: era.segmentBytes };
  try {
    await readSegment({ ...repository, store: holding(key, bytes) }, walKeys, cluster, era.era, segment, tag, options);
    return true;
  } catch (error) {
    if (hasCode(error, 'key-write-only', 'key-missing')) return false;
    throw error;
  }
}

async function isWhole(copying: Copying, era: EraRecord, key: string, signal: AbortSignal): Promise<boolean> {
  const { to } = copying;
  try {
    const bytes = await readBytes(to.store, key, { signal, maxBytes: storedLimit(era) });
    return await opens(copying, era, to, key, bytes, signal);
  } catch (error) {
    if (hasCode(error, 'object-damaged', 'object-missing')) return false;
    throw error;
  }
}

/** Bytes that do not compress become a little longer. */
const storedLimit = ({ segmentBytes }: EraRecord): number => segmentBytes + (segmentBytes >> 6) + 1024 * 1024;

function undecided(key: string, repository: string): PgproofError {
  return new PgproofError('object-exists', `'${key}' has another size in repository '${repository}'`, {
    facts: { key, repository },
    hint: 'This host cannot look into it: run the copy on a host whose key file opens the WAL.',
  });
}
