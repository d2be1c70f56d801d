import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { suffixOf } from '../../codec/sealing.ts';
import { StreamWriter } from '../../dump/stored.ts';
import { commitDump } from '../../repository/dumps.ts';
import { type KeyRing, sealingFor } from '../../repository/keys.ts';
import { type DumpStream, dumpPartKey } from '../../repository/layout.ts';
import type { DumpRecord, StoredStream } from '../../repository/record.ts';
import type { Repository } from '../../repository/repository.ts';
import { cluster } from '../repository/support.ts';
import type { Cluster } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';

/** As the engine draws them: by time. */
export const dumpIdOf = (number: number): string => `2026112${number}T020000Z-logical-3fa94d1${number}`;

/** A record as the engine leaves it before it is committed; its one part lies nowhere. */
export function dumpRecordOf(id: string, changes: Partial<DumpRecord> = {}): Omit<DumpRecord, 'signature'> {
  const part = { key: dumpPartKey(cluster, id, 'dump.custom', 1, '.zst'), storedBytes: 4, plainBytes: 4, sha256 };
  return {
    formatVersion: 1,
    id,
    cluster,
    kind: 'database',
    database: 'shop',
    tier: 'daily',
    format: 'custom',
    content: 'all',
    compression: 'zstd:3',
    selection: { tables: [], excludeTables: [], excludeTableData: [], schemas: [], excludeSchemas: [] },
    owner: true,
    privileges: true,
    server: {
      major: 15,
      version: '15.18',
      systemId: '7400000000000000001',
      inRecovery: false,
      encoding: 'UTF8',
      collate: 'C',
      ctype: 'C',
      owner: 'postgres',
    },
    toolVersion: '18.4',
    host: 'db-7',
    startedAt: timeOf(id),
    finishedAt: timeOf(id).replace(':00.', ':09.'),
    dump: { parts: [part], plainBytes: 4, sha256 },
    globals: null,
    entries: { total: 12, tables: 3, tableData: 3 },
    codec: { compression: 'zstd', cipher: 'none' },
    keyId: null,
    verified: ['exit', 'trailer', 'list', 'checksum'],
    importedFrom: null,
    findings: [],
    notes: [],
    ...changes,
  };
}

/** Of `part`. */
const sha256 = createHash('sha256').update('part').digest('hex');

const timeOf = (id: string): string =>
  id.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, '$1-$2-$3T$4:$5:$6.000Z');

/** A dump that is there: sealed, in parts, committed. @param options.partBytes a part is closed before it is stored with more. */
export async function putDump(
  repository: Repository,
  keys: KeyRing,
  id: string,
  plain: Buffer,
  {
    stream = 'dump.custom',
    globals,
    partBytes,
    ...changes
  }: Partial<Omit<DumpRecord, 'globals'>> & { stream?: DumpStream; globals?: Buffer; partBytes?: number } = {},
): Promise<DumpRecord> {
  const options = { repository, keys, id, ...(partBytes === undefined ? {} : { partBytes }) };
  return commitDump(
    repository,
    keys,
    dumpRecordOf(id, {
      dump: await putStream({ ...options, stream }, plain),
      globals: globals === undefined ? null : await putStream({ ...options, stream: 'globals.sql' }, globals),
      codec: { compression: 'zstd', cipher: keys.current?.cipher ?? 'none' },
      keyId: keys.current?.id ?? null,
      ...changes,
    }),
  );
}

type Put = { repository: Repository; keys: KeyRing; id: string; stream: DumpStream; partBytes?: number };

async function putStream({ repository, keys, id, stream, partBytes }: Put, plain: Buffer): Promise<StoredStream> {
  const sealing = sealingFor(keys);
  const writer = new StreamWriter({
    store: repository.store,
    keyOf: (part) => dumpPartKey(cluster, id, stream, part, suffixOf(sealing)),
    sealing,
    signal: new AbortController().signal,
    ...(partBytes === undefined ? {} : { maxStoredBytes: partBytes }),
  });
  for (let at = 0; at < plain.length; at += 65_536) await writer.write(plain.subarray(at, at + 65_536));
  return writer.finish();
}

/** A dump that one of PostgreSQL's programs writes here and now. */
export async function dumpBy(server: Cluster, program: 'pg_dump' | 'pg_dumpall', ...args: string[]): Promise<Buffer> {
  const where = [`--host=${server.socketDir}`, `--port=${server.port}`, `--username=${server.user}`];
  const { stdout } = await execa(join(server.bin, program), [...where, ...args], {
    encoding: 'buffer',
    stripFinalNewline: false,
  });
  return Buffer.from(stdout);
}

/** A dump in directory format as it is stored: one tar, `toc.dat` first, each larger file in pieces as it grew. */
export async function directoryDump(server: Cluster): Promise<Buffer> {
  const [whole, pieces] = [join(tempDir(), 'dump'), tempDir('pieces')];
  await dumpBy(server, 'pg_dump', '--format=directory', '--jobs=2', `--file=${whole}`, '--dbname=postgres');
  const cut = 'mv toc.dat "$1"; for f in *; do split -a 6 --numeric-suffixes=1 -b 20000 "$f" "$1/$f."; done';
  execFileSync('bash', ['-ec', cut, '-', pieces], { cwd: whole });
  const members = readdirSync(pieces).filter((name) => name !== 'toc.dat');
  const args = ['--create', '--format=ustar', '--directory', pieces, 'toc.dat', ...members.sort()];
  const { stdout } = await execa('tar', args, { encoding: 'buffer', stripFinalNewline: false });
  return Buffer.from(stdout);
}
