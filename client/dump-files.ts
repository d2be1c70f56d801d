import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { type ExportOrder, exportDump, isAlone } from '../dump/export/export.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { findDumpIn } from '../repository/merged.ts';
import { makeRootFolder } from '../storage/file/durable.ts';
import type { Session } from './session.ts';

/** `--export`: where this machine's copies of the dumps go. `named`: who asks has named one database. */
export type Copying = { cluster: ProtectedCluster; order: Omit<ExportOrder, 'alone'>; named: boolean };

/**
 * What `--export` and `--layout` say; null without. Done before anything starts: the folder is there and can be written, and this
 * machine has the keys and the repositories.
 * @throws {PgproofError} `usage`, `file-unwritable`; as `openCluster`.
 */
export async function copyingTo(session: Session, name: string, named: boolean): Promise<Copying | null> {
  const {
    export: folder,
    layout,
    detach,
  } = session.options as { export?: string; layout?: 'files' | 'tiers'; detach?: boolean };
  if (folder === undefined) {
    if (layout === undefined) return null;
    throw new PgproofError('usage', `--layout ${layout} says how --export writes, and there is none`);
  }
  if (detach === true)
    throw new PgproofError(
      'usage',
      '--export and --detach exclude each other: nobody would be there to write the files',
      {
        hint: `To have the worker write them, set clusters.${name}.dumps.export.`,
      },
    );
  const order = { folder: resolve(folder), layout: layout ?? 'files' };
  await makeWritable(order.folder);
  return { cluster: await session.cluster(name), order, named };
}

/** Writes dumps of the repository out. @returns the files of each. */
export async function copyOut(
  { cluster, order, named }: Copying,
  ids: readonly string[],
  { run }: Session,
): Promise<Map<string, readonly string[]>> {
  const written = new Map<string, readonly string[]>();
  for (const id of ids) {
    try {
      const record = await findDumpIn(cluster.repositories, cluster.keys, cluster.name, id, { signal: run.signal });
      const alone = named || isAlone(cluster.config, record);
      written.set(id, (await exportDump(cluster, record, { ...order, alone }, run)).files);
    } catch (error) {
      throw notWritten(id, order.folder, asPgproofError(error));
    }
  }
  return written;
}

function notWritten(id: string, folder: string, error: PgproofError): PgproofError {
  const what = `the dump ${id} is whole in the repository, and could not be written to '${folder}'`;
  return error.retold({ message: `${what}: ${error.message}`, facts: { dump: id, folder } });
}

async function makeWritable(folder: string): Promise<void> {
  try {
    await makeRootFolder(folder);
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new PgproofError('file-unwritable', `--export '${folder}' cannot be written: ${(error as Error).message}`, {
      facts: { path: folder },
      hint: 'Name a folder that this user may write, or make it.',
      cause: error,
    });
  }
}
