import { open, readFile } from 'node:fs/promises';
import { PgproofError } from '../core/errors.ts';
import { parseSegmentName, type SegmentName, timelineOf } from '../core/segment.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readWalHeader, type WalHeader, walHeaderBytes } from '../postgres/walpage.ts';
import { putHistory } from '../repository/wal.ts';
import type { Custody } from './custody.ts';
import { judgeHistory, judgeSegment, type Known, type Verdict } from './judge.ts';
import { contentTag, moveTo, release, type Spool, type SpoolFile } from './spool.ts';
import { storeSegment } from './store-segment.ts';
import type { Target } from './targets.ts';

/** What became of one file of the spool. */
export type Outcome =
  | { kind: 'shipped'; conflict: PgproofError | undefined }
  | { kind: 'released' }
  | { kind: 'waiting' | 'refused'; error: PgproofError };

/** `cluster.repository` is the one that the files are for. */
export type ShipContext = {
  cluster: ProtectedCluster;
  target: Target;
  custody: Custody;
  spool: Spool;
  known: Known;
  signal: AbortSignal;
};

/**
 * Takes one file from the spool to where it belongs. It leaves `incoming` only once it is durable in every repository that
 * the spool waits for, or in another folder of the spool. May be cut off anywhere and repeated.
 * @throws {PgproofError} what the repository throws: then later files must wait, too.
 */
export async function shipFile(file: SpoolFile, context: ShipContext): Promise<Outcome> {
  switch (file.kind) {
    case 'segment':
      return shipSegment(file, context);
    case 'history':
      return shipHistory(file, context);
    case 'partial':
      return keepPartial(file, context);
    case 'backupLabel':
      // What it says of a base backup, that backup's own record says better; recovery never asks for it.
      await context.custody.leave(file, () => release(file));
      return { kind: 'released' };
    default:
      return refused(
        file,
        context,
        new PgproofError('wal-foreign', `'${file.name}' is not the name of a WAL file`, { facts: { file: file.name } }),
      );
  }
}

/** The verdict on a segment, or on a partial one, by its name and its first page. */
export async function judgeFile(file: SpoolFile, known: Known): Promise<Verdict> {
  const name = parseSegmentName(file.name.slice(0, 24));
  const header = await readHeader(file);
  return header instanceof PgproofError
    ? { verdict: 'refuse', error: header }
    : judgeSegment(name, file.bytes, header, known);
}

async function shipSegment(file: SpoolFile, context: ShipContext): Promise<Outcome> {
  const judged = await judgeFile(file, context.known);
  if (judged.verdict !== 'ship') return carryOut(judged, file, context);
  const { cluster, custody, target, signal } = context;
  const plain = await readFile(file.path, { signal });
  const stored = await storeSegment(cluster, judged.lineage.era.era, file.name as SegmentName, plain, { signal });
  await custody.done(target, file);
  return { kind: 'shipped', ...stored };
}

async function shipHistory(file: SpoolFile, context: ShipContext): Promise<Outcome> {
  const bytes = await readFile(file.path);
  const judged = judgeHistory(file.name, bytes.toString('utf8'), context.known);
  if (judged.verdict !== 'ship') return carryOut(judged, file, context);
  const { signal } = context;
  const { repository, walKeys, name } = context.cluster;
  await putHistory(repository, walKeys, name, judged.lineage.era.era, timelineOf(file.name), bytes, { signal });
  await context.custody.done(context.target, file);
  return { kind: 'shipped', conflict: undefined };
}

/**
 * The last segment of a timeline that ended in its midst. The new timeline's first segment begins with the same WAL, and the
 * whole segment may still come from a server that had gone on, so it is never archived under the full name.
 */
async function keepPartial(file: SpoolFile, context: ShipContext): Promise<Outcome> {
  const judged = await judgeFile(file, context.known);
  if (judged.verdict !== 'ship') return carryOut(judged, file, context);
  const name = `${file.name}-${await contentTag(file)}`;
  await context.custody.leave(file, () => moveTo(context.spool.partial, file, name));
  return { kind: 'released' };
}

async function carryOut(
  judged: Exclude<Verdict, { verdict: 'ship' }>,
  file: SpoolFile,
  context: ShipContext,
): Promise<Outcome> {
  switch (judged.verdict) {
    case 'release':
      await context.custody.done(context.target, file);
      return { kind: 'released' };
    case 'wait':
      return { kind: 'waiting', error: judged.error };
    case 'refuse':
      return refused(file, context, judged.error);
  }
}

async function refused(file: SpoolFile, { custody, target }: ShipContext, error: PgproofError): Promise<Outcome> {
  return { kind: (await custody.refuse(target, file, error)) ? 'refused' : 'waiting', error };
}

async function readHeader(file: SpoolFile): Promise<WalHeader | PgproofError> {
  const handle = await open(file.path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(walHeaderBytes), 0, walHeaderBytes, 0);
    return readWalHeader(buffer.subarray(0, bytesRead));
  } catch (error) {
    if (error instanceof PgproofError) {
      return new PgproofError('wal-unreadable', `'${file.name}' is not readable: ${error.message}`, {
        facts: { file: file.name },
        cause: error,
      });
    }
    throw error;
  } finally {
    await handle.close();
  }
}
