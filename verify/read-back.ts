import { hasCode, PgproofError } from '../core/errors.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Checked, checkPart, checkSegment } from './contents.ts';
import type { Findings, Subject } from './findings.ts';
import type { Known, KnownEra } from './known.ts';
import { inParallel, type Looking } from './looking.ts';
import { isInShare, type Rotation } from './share.ts';
import { type Item, itemsOf } from './work.ts';

/** Objects and bytes there are, and what of it this run read; `undecoded`: read, but no key at hand opens it. */
export type ReadBack = { objects: number; bytes: number; readObjects: number; readBytes: number; undecoded: number };

const mostParallel = 4;
/** Segments lie in memory as they are stored and as they decode. */
const memoryBytes = 256 * 1024 * 1024;

/**
 * Checks names and sizes of all parts, and reads back the bytes of the share.
 * @param again keys that are read whatever the share: what an earlier run found to be damaged.
 * @throws {PgproofError} once the store seems to be away; `done` says how far it came.
 */
export async function readBack(
  cluster: ProtectedCluster,
  known: Known,
  { rotation, again }: { rotation: Rotation | null; again: ReadonlySet<string> },
  { looking, findings, run, done }: { looking: Looking; findings: Findings; run: Run; done: ReadBack },
): Promise<void> {
  let total = 0;
  for (const { key, bytes } of itemsOf(cluster.name, known)) {
    done.objects += 1;
    done.bytes += bytes;
    if (isInShare(key, rotation) || again.has(key)) total += bytes;
  }
  const largest = Math.max(1, ...known.eras.map(({ record }) => record?.segmentBytes ?? 1));
  const parallel = Math.max(1, Math.min(mostParallel, Math.floor(memoryBytes / (2 * largest))));
  await inParallel(itemsOf(cluster.name, known), parallel, async (item) => {
    if (!hasRightSize(item, findings)) return;
    if (!isInShare(item.key, rotation) && !again.has(item.key)) return;
    const look = await looking.at(item.key, () =>
      checkItem(cluster, item, looking.signal).catch((error: unknown) => {
        throw sealedOtherwise(cluster, known.eras, item, error) ?? error;
      }),
    );
    if (look.state === 'unread') return;
    done.readObjects += 1;
    done.readBytes += item.bytes;
    run.progress({ phase: 'read back', doneBytes: done.readBytes, totalBytes: total });
    if (look.state === 'whole') done.undecoded += look.value.decoded ? 0 : 1;
    else if (look.state === 'sealed') done.undecoded += 1;
    else findings.add({ object: item.key, kind: look.state, why: look.why, subject: subjectOf(item) });
  });
}

/** @throws {PgproofError} `object-damaged`, `object-missing`, what the store says. */
function checkItem(cluster: ProtectedCluster, item: Item, signal: AbortSignal): Promise<Checked> {
  if (item.of === 'wal') return checkSegment(cluster, item.era, item, { segmentBytes: item.segmentBytes, signal });
  return checkPart(cluster, item.record, item.part, { signal });
}

/**
 * WAL does not say which key set sealed it: where the key file lacks one, it cannot be told from damage. Nobody may replace it for that.
 * @returns why it could not be looked into; undefined where the error says what it is.
 */
function sealedOtherwise(
  { keys, walKeys }: ProtectedCluster,
  eras: readonly KnownEra[],
  item: Item,
  error: unknown,
): PgproofError | undefined {
  if (item.of !== 'wal' || keys !== walKeys || !hasCode(error, 'object-damaged')) return undefined;
  const lacksKey = eras.find(({ name }) => name === item.era)?.lacksKey;
  if (lacksKey == null) return undefined;
  const { message, facts } = lacksKey;
  return new PgproofError('key-missing', `it is damaged, or sealed with a key set that is not at hand: ${message}`, {
    facts: { ...facts, key: item.key },
    cause: error,
  });
}

/** The listing alone tells of a part that is not there, or too short. */
function hasRightSize(item: Item, findings: Findings): boolean {
  if (item.of === 'wal' || item.listed === item.bytes) return true;
  const missing = item.listed === undefined;
  const why = missing ? 'there is no such object' : `it has ${item.listed} bytes, and the record says ${item.bytes}`;
  findings.add({ object: item.key, kind: missing ? 'missing' : 'damaged', why, subject: subjectOf(item) });
  return false;
}

export function subjectOf(item: Item): Subject {
  if (item.of === 'wal') return { of: 'wal', era: item.era, segment: item.segment };
  const { id } = item.record;
  return item.of === 'dump' ? { of: 'dump', id } : { of: 'backup', era: item.era, id };
}
