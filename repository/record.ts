import * as z from 'zod';
import { ciphers } from '../codec/sealing.ts';
import { dumpContents, dumpFormats, dumpKinds } from '../core/dump.ts';
import { holdOperations, type WalRange } from '../core/hold.ts';
import { runIdPattern } from '../core/ids.ts';
import type { Lsn } from '../core/lsn.ts';
import { isName } from '../core/names.ts';

/* The JSON documents of a repository. Readers ignore fields they do not know and refuse a newer formatVersion. */

const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime();

export const repositoryRecord = z.object({
  formatVersion: z.number().int(),
  repositoryId: z.uuid(),
  createdAt: time,
});

/** One initialised data directory's life: the WAL of two eras never mixes. `id` is 0001-pg15-<system identifier>. */
export const eraRecord = z.object({
  formatVersion: z.number().int(),
  era: z.string().regex(/^\d{4}-pg\d{2}-\d{1,20}$/),
  systemId: z.string().regex(/^\d{1,20}$/),
  major: z.number().int(),
  segmentBytes: z.number().int(),
  /** Timeline and WAL position of the leader when the era was declared; that timeline and its ancestors are adopted by it. */
  timeline: z.number().int().positive(),
  startLsn: lsn,
  /** The key set that sealed first in this era; null where nothing is encrypted. */
  keyId: z.string().nullable(),
  /** The same for WAL; absent in eras that were declared before WAL could have a key of its own. */
  walKeyId: z.string().nullable().optional(),
  declaredAt: time,
});
export type EraRecord = z.infer<typeof eraRecord>;

export const codec = z.object({
  compression: z.literal('zstd'),
  cipher: z.enum(['none', ...ciphers]),
});

/** One stored object. `sha256` and `storedBytes` are of the bytes as stored, `plainBytes` of what they decode to. */
const storedPart = z.object({
  key: z.string(),
  storedBytes: z.number().int().nonnegative(),
  plainBytes: z.number().int().nonnegative(),
  sha256,
});
export type StoredPart = z.infer<typeof storedPart>;

const tablespace = z.object({
  /** `pgdata` for the data directory itself, otherwise the tablespace's OID. */
  name: z.string().regex(/^(pgdata|\d+)$/),
  /** Where it lay on the primary; null for the data directory. */
  path: z.string().nullable(),
  parts: z.array(storedPart).min(1),
});

/** Of the canonical JSON of everything else in the record. */
const signature = z.object({ keyId: z.string(), ed25519: z.string() });
export type Signature = z.infer<typeof signature>;

/** The commit file of a base backup. Canonical JSON (RFC 8785), signed. */
export const backupRecord = z.object({
  formatVersion: z.number().int(),
  id: z.string().regex(runIdPattern),
  type: z.enum(['full', 'incremental']),
  parent: z.string().nullable(),
  cluster: z.string(),
  era: z.string(),
  systemId: z.string(),
  major: z.number().int(),
  /** As the server says it, e.g. 15.18 (Debian 15.18-0+deb12u1). */
  serverVersion: z.string(),
  segmentBytes: z.number().int(),
  timeline: z.number().int().positive(),
  startLsn: lsn,
  stopLsn: lsn,
  startedAt: time,
  /** Server clock when the copy had ended. */
  stoppedAt: time,
  tablespaces: z.array(tablespace).min(1),
  manifest: storedPart,
  codec,
  keyId: z.string().nullable(),
  platform: z.object({
    libc: z.string().nullable(),
    icu: z.string().nullable(),
    collations: z.array(
      z.object({
        database: z.string(),
        provider: z.string(),
        locale: z.string().nullable(),
        version: z.string().nullable(),
      }),
    ),
    /** Libraries the server loads at its start, and settings that recovery demands to be at least as high. */
    preloadLibraries: z.string(),
    minimums: z.record(z.string(), z.number().int()),
  }),
  /** How far it was verified before it was committed. */
  verified: z.object({
    files: z.number().int(),
    bytes: z.number().int(),
    against: z.literal('backup_manifest'),
    how: z.literal('streaming'),
  }),
  /** What belongs to the server and is not in the backup, a sentence each. */
  notes: z.array(z.string()).optional(),
  signature: signature.nullable(),
});
export type BackupRecord = z.infer<typeof backupRecord>;

/** A stream in parts; decoded and joined in order they are the stream again. `sha256` and `plainBytes` are of all of it. */
const dumpStream = z.object({
  parts: z.array(storedPart).min(1),
  plainBytes: z.number().int().nonnegative(),
  sha256,
});
export type StoredStream = z.infer<typeof dumpStream>;

/** The commit file of a dump. Canonical JSON (RFC 8785), signed. */
export const dumpRecord = z.object({
  formatVersion: z.number().int(),
  id: z.string().regex(runIdPattern),
  cluster: z.string(),
  kind: z.enum(dumpKinds),
  /** Null for globals and for the whole server. */
  database: z.string().nullable(),
  /** A label that retention goes by. */
  tier: z.string().refine(isName),
  format: z.enum(dumpFormats),
  content: z.enum(dumpContents),
  /** pg_dump's own: none, gzip:6, zstd:3; null where it is not known. */
  compression: z.string().nullable(),
  /** What was selected, as pg_dump was told; empty where all of it was. */
  selection: z.object({
    tables: z.array(z.string()),
    excludeTables: z.array(z.string()),
    excludeTableData: z.array(z.string()),
    schemas: z.array(z.string()),
    excludeSchemas: z.array(z.string()),
  }),
  owner: z.boolean(),
  privileges: z.boolean(),
  /** The server that it was taken from; null fields where an old file does not say. */
  server: z.object({
    major: z.number().int().nullable(),
    version: z.string().nullable(),
    systemId: z.string().nullable(),
    inRecovery: z.boolean(),
    encoding: z.string().nullable(),
    collate: z.string().nullable(),
    ctype: z.string().nullable(),
    /** Of the database's collation; absent where it is not known. `locale` is ICU's or the builtin one's. */
    provider: z.enum(['libc', 'icu', 'builtin']).nullable().optional(),
    locale: z.string().nullable().optional(),
    /** Who owns the database. */
    owner: z.string().nullable(),
  }),
  /** Of pg_dump or pg_dumpall. */
  toolVersion: z.string().nullable(),
  host: z.string(),
  /** Server clock before its snapshot was taken; what was committed before is in it. */
  startedAt: time,
  /** Clock of the host when pg_dump had ended. */
  finishedAt: time,
  dump: dumpStream,
  /** Roles, tablespaces and settings of the server, as SQL. */
  globals: dumpStream.nullable(),
  /** What `pg_restore --list` says is in it; null for SQL. */
  entries: z.object({ total: z.number().int(), tables: z.number().int(), tableData: z.number().int() }).nullable(),
  codec,
  keyId: z.string().nullable(),
  /** How it was verified before it was committed: `exit`, `trailer`, `list`, `checksum`. */
  verified: z.array(z.string()),
  /** The file that it was taken over from; null for one that pgproof took. */
  importedFrom: z.string().nullable(),
  findings: z.array(z.string()),
  notes: z.array(z.string()),
  signature: signature.nullable(),
});
export type DumpRecord = z.infer<typeof dumpRecord>;

/** WAL without which the backup cannot be restored at all. */
export function neededWal({ timeline, startLsn, stopLsn }: BackupRecord): WalRange {
  return { timeline, from: startLsn as Lsn, to: stopLsn as Lsn };
}

/** Reason of a tombstone for what an attempt left behind, as opposed to a backup that was there. */
export const neverCommitted = 'never committed';

export const tombstoneRecord = z.object({
  formatVersion: z.number().int(),
  id: z.string(),
  deletedAt: time,
  reason: z.string(),
});
export type TombstoneRecord = z.infer<typeof tombstoneRecord>;

const walRange = z.object({
  timeline: z.number().int().positive(),
  from: lsn.transform((text) => text as Lsn),
  to: lsn.transform((text) => text as Lsn).nullable(),
});
const eraNeeds = z.object({ era: z.string(), backups: z.array(z.string()), wal: z.array(walRange) });

/** The fleet that writes a cluster here. */
export const ownerRecord = z.object({
  formatVersion: z.number().int(),
  cluster: z.string(),
  fleet: z.string(),
  /** Tells two fleets of one name apart: 32 hex digits made with the identity key; null without a key. */
  identity: z.string().nullable(),
  claimedAt: time,
  /** The host that claimed, and why, where a person took it. */
  by: z.string(),
  reason: z.string().nullable(),
});
export type OwnerRecord = z.infer<typeof ownerRecord>;

/** `needs` null: everything of the cluster, until a second document narrows it. */
export const holdRecord = z.object({
  formatVersion: z.number().int(),
  id: z.string().regex(runIdPattern),
  cluster: z.string(),
  operation: z.enum(holdOperations),
  by: z.string(),
  reason: z.string().nullable(),
  heldAt: time,
  until: time,
  needs: z.array(eraNeeds).nullable(),
  /** Ids; absent: none. */
  dumps: z.array(z.string()).optional(),
});

/** In force in place of what the hold says of the same. */
export const narrowedHoldRecord = holdRecord.pick({ formatVersion: true, id: true, until: true }).extend({
  needs: z.array(eraNeeds),
  dumps: z.array(z.string()).optional(),
});

/** WAL that is gone, or is about to go. It stays, unless one that includes it was written later. */
export const cutRecord = z.object({
  formatVersion: z.number().int(),
  id: z.string().regex(runIdPattern),
  cutAt: time,
  reason: z.string(),
  ranges: z.array(walRange).min(1),
});
export type CutRecord = z.infer<typeof cutRecord>;

/** A key file, wrapped. `age` is an armored age file; in the key file in it, the set of this id comes first, then all older ones. */
export const wrapperRecord = z.object({
  formatVersion: z.number().int(),
  keyId: z.string(),
  kind: z.enum(['passphrase', 'recipient']),
  /** Whose identity opens it, where `kind` says recipient. */
  recipient: z.string().nullable(),
  wrappedAt: time,
  age: z.string().startsWith('-----BEGIN AGE ENCRYPTED FILE-----\n'),
});
export type WrapperRecord = z.infer<typeof wrapperRecord>;
