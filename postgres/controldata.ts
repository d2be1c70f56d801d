import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { parseLsn } from '../core/lsn.ts';
import { runTool } from './run.ts';
import type { Tools } from './tools.ts';

const count = z.string().regex(/^\d+$/).transform(Number);
const lsn = z.string().transform((text) => parseLsn(text));

const controlData = z
  .object({
    'Database system identifier': z.string().regex(/^\d+$/),
    'Database cluster state': z.string(),
    'Latest checkpoint location': lsn,
    "Latest checkpoint's REDO location": lsn,
    "Latest checkpoint's TimeLineID": count,
    'Minimum recovery ending location': lsn,
    'Bytes per WAL segment': count,
    'Database block size': count,
    'Data page checksum version': count,
    'max_connections setting': count,
    'max_worker_processes setting': count,
    'max_wal_senders setting': count,
    'max_prepared_xacts setting': count,
    'max_locks_per_xact setting': count,
  })
  .transform((data) => ({
    systemId: data['Database system identifier'],
    /** PostgreSQL's words: `in production`, `shut down`, `in archive recovery`, … */
    state: data['Database cluster state'],
    checkpointLsn: data['Latest checkpoint location'],
    redoLsn: data["Latest checkpoint's REDO location"],
    timeline: data["Latest checkpoint's TimeLineID"],
    minRecoveryEndLsn: data['Minimum recovery ending location'],
    segmentBytes: data['Bytes per WAL segment'],
    blockBytes: data['Database block size'],
    pageChecksums: data['Data page checksum version'] > 0,
    /** What recovery with queries demands at least, by the settings' names. */
    minimums: {
      max_connections: data['max_connections setting'],
      max_worker_processes: data['max_worker_processes setting'],
      max_wal_senders: data['max_wal_senders setting'],
      max_prepared_transactions: data['max_prepared_xacts setting'],
      max_locks_per_transaction: data['max_locks_per_xact setting'],
    },
  }));

export type ControlData = z.output<typeof controlData>;

/**
 * What pg_control of a data directory says; the server need not run.
 * @throws {PgproofError} `tool-failed` when there is no pg_control; `tool-output` when it is not understood.
 */
export async function readControlData(
  tools: Tools,
  dataDir: string,
  options: { signal?: AbortSignal } = {},
): Promise<ControlData> {
  const signal = options.signal ?? new AbortController().signal;
  const { stdout } = await runTool(tools, 'pg_controldata', ['-D', dataDir], { signal, timeoutSeconds: 30 });
  return parseControlData(stdout);
}

/** Reads the output of pg_controldata under LC_ALL=C. */
function parseControlData(text: string): ControlData {
  const lines = text.split('\n').map((line) => /^([^:]+):\s+(.*)$/.exec(line));
  const result = controlData.safeParse(
    Object.fromEntries(lines.flatMap((match) => (match ? [[match[1], match[2]]] : []))),
  );
  if (result.success) return result.data;
  throw new PgproofError('tool-output', `pg_controldata is not understood: ${z.prettifyError(result.error)}`);
}
