import { sealingFor } from '../repository/keys.ts';
import { formatVersion } from '../repository/layout.ts';
import type { DumpRecord } from '../repository/record.ts';
import type { DumpJob } from './job.ts';
import type { Taken } from './stream.ts';

export type UnsignedDump = Omit<DumpRecord, 'signature'>;

/** What a commit will sign, but for what it is compared with. */
export function recordOf(job: DumpJob, dump: Taken, globals: Taken | null, finishedAt: Date): UnsignedDump {
  const { cluster, target, fit, attempt } = job;
  const { server, database, clients } = fit;
  const { format, content, owner, privileges, ...options } = target.options;
  const { tables, excludeTables, excludeTableData, schemas, excludeSchemas } = options;
  return {
    formatVersion,
    id: attempt.id,
    cluster: cluster.name,
    kind: target.kind,
    database: target.database,
    tier: target.tier,
    format,
    content,
    compression: fit.compression,
    selection: {
      tables: [...tables],
      excludeTables: [...excludeTables],
      excludeTableData: [...excludeTableData],
      schemas: [...schemas],
      excludeSchemas: [...excludeSchemas],
    },
    owner,
    privileges,
    server: {
      major: server.major,
      version: server.versionText,
      systemId: server.systemId,
      inRecovery: server.inRecovery,
      encoding: database?.encoding ?? null,
      collate: database?.collate ?? null,
      ctype: database?.ctype ?? null,
      provider: database?.provider ?? null,
      locale: database?.locale ?? null,
      owner: database?.owner ?? null,
    },
    toolVersion: clients.version,
    host: cluster.host,
    startedAt: server.clock,
    finishedAt: finishedAt.toISOString(),
    dump: dump.stream,
    globals: globals?.stream ?? null,
    entries: dump.entries,
    codec: { compression: 'zstd', cipher: sealingFor(cluster.keys).cipher },
    keyId: cluster.keys.current?.id ?? null,
    verified: ['exit', 'trailer', ...(dump.entries === null ? [] : ['list']), 'checksum'],
    importedFrom: null,
    findings: [],
    notes: fit.notes,
  };
}
