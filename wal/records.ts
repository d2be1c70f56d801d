import { createInterface } from 'node:readline';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import { spawnTool } from '../postgres/run.ts';
import type { Tools } from '../postgres/tools.ts';

/** A record as pg_waldump prints it. */
export type DumpedRecord = {
  rmgr: string;
  lsn: Lsn /** Where the record before it begins. */;
  prev: Lsn;
  xid: string;
  description: string;
};

/** What a restore's plan has to know of the WAL it will replay. */
export type WalRecord =
  /** The end of a transaction, two-phase ones too: what time and xid targets stop at. `at` in µs since 1970. */
  | { kind: 'end'; lsn: Lsn; xid: string; outcome: 'commit' | 'abort'; at: bigint }
  | { kind: 'restore-point'; lsn: Lsn; name: string }
  | { kind: 'tablespace'; lsn: Lsn; prev: Lsn; oid: string; path: string }
  /** The end of the base backup that began at `start`. */
  | { kind: 'backup-end'; lsn: Lsn; start: Lsn }
  /** What recovery with queries demands at least, from here on. */
  | { kind: 'minimums'; lsn: Lsn; minimums: Record<string, number> };

/**
 * Runs pg_waldump and yields what it prints, a record a line, in bounded memory.
 * @throws {PgproofError} `tool-failed`: also for WAL that ends or breaks before the end that was asked for.
 */
export async function* dumpRecords(tools: Tools, args: string[], signal: AbortSignal): AsyncGenerator<DumpedRecord> {
  // Times are printed in the zone of the environment.
  const tool = spawnTool(tools, 'pg_waldump', args, { signal, timeoutSeconds: 3600, env: { TZ: 'UTC' } });
  try {
    for await (const line of createInterface({ input: tool.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
      const match =
        /^rmgr: (\S+)\s.*?, tx:\s*(\d+), lsn: ([0-9A-F]+\/[0-9A-F]+), prev ([0-9A-F]+\/[0-9A-F]+), desc: (.*)$/.exec(
          line,
        );
      if (match === null) continue; // the rest of a restore point's name that has a line break in it
      const [, rmgr, xid, lsn, prev, description] = match as unknown as [
        string,
        string,
        string,
        string,
        string,
        string,
      ];
      yield { rmgr, xid, lsn: parseLsn(lsn), prev: parseLsn(prev), description };
    }
    await tool.ended;
  } finally {
    tool.kill();
  }
}

/**
 * Undefined for records that no plan asks for.
 * Source: PostgreSQL src/backend/access/rmgrdesc/{xactdesc,xlogdesc,tblspcdesc}.c.
 */
export function understand({ rmgr, lsn, prev, xid, description }: DumpedRecord): WalRecord | undefined {
  if (rmgr === 'Transaction') return transactionEnd(lsn, xid, description);
  if (rmgr === 'Tablespace') {
    const match = /^CREATE (\d+) "(.*?)"?$/.exec(description.trimEnd());
    return match === null
      ? undefined
      : { kind: 'tablespace', lsn, prev, oid: match[1] as string, path: match[2] as string };
  }
  if (rmgr !== 'XLOG') return undefined;
  if (description.startsWith('RESTORE_POINT '))
    return { kind: 'restore-point', lsn, name: description.slice('RESTORE_POINT '.length) };
  const start = /^BACKUP_END ([0-9A-F]+\/[0-9A-F]+)/.exec(description)?.[1];
  if (start !== undefined) return { kind: 'backup-end', lsn, start: parseLsn(start) };
  return description.startsWith('PARAMETER_CHANGE ')
    ? { kind: 'minimums', lsn, minimums: minimumsIn(description) }
    : undefined;
}

/** `COMMIT 2026-11-21 03:01:44.794103 UTC; …` or `ABORT_PREPARED 733: 2026-…`. */
function transactionEnd(lsn: Lsn, xid: string, description: string): WalRecord | undefined {
  const match = /^(COMMIT|ABORT)(?:_PREPARED (\d+):)? (\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{6}) UTC/.exec(
    description,
  );
  if (match === null) return undefined;
  const [, word, prepared, day, time, fraction] = match as unknown as [
    string,
    string,
    string | undefined,
    string,
    string,
    string,
  ];
  const at = BigInt(Date.parse(`${day}T${time}Z`)) * 1000n + BigInt(fraction);
  return { kind: 'end', lsn, xid: prepared ?? xid, outcome: word === 'COMMIT' ? 'commit' : 'abort', at };
}

/** pg_waldump's names of the settings, which are pg_control's, by the settings' own names. */
const minimumNames: Record<string, string> = {
  max_connections: 'max_connections',
  max_worker_processes: 'max_worker_processes',
  max_wal_senders: 'max_wal_senders',
  max_prepared_xacts: 'max_prepared_transactions',
  max_locks_per_xact: 'max_locks_per_transaction',
};

function minimumsIn(description: string): Record<string, number> {
  const pairs = [...description.matchAll(/(\w+)=(\d+)/g)];
  return Object.fromEntries(
    pairs.flatMap(([, name, value]) => {
      const setting = minimumNames[name as string];
      return setting === undefined ? [] : [[setting, Number(value)]];
    }),
  );
}
