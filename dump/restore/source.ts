import type { DumpFormat, DumpKind } from '../../core/dump.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { Take } from '../../parts/reader.ts';
import { readStream } from '../../parts/stream.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { Nearest } from '../../repository/nearest.ts';
import type { DumpRecord } from '../../repository/record.ts';

/** A dump that can be restored: one of the repository, or a file that somebody else's script left. */
export type DumpSource = {
  /** For people: the dump's id, or the file's path. */
  what: string;
  kind: DumpKind;
  format: DumpFormat;
  content: DumpRecord['content'];
  /** Null where nothing says so, and for what is not one database. */
  database: string | null;
  /** What is known of the server that it was taken from; null: a file does not say. */
  server: DumpRecord['server'] | null;
  /** Of pg_dump, which an older pg_restore may not be able to read. */
  toolVersion: string | null;
  entries: DumpRecord['entries'];
  /** Of the plain stream, where known before it was read. */
  plainBytes: number | null;
  globals: boolean;
  /** Its signature was checked, so that its SQL is our own server's. Otherwise psql runs it restricted. */
  trusted: boolean;
  notes: readonly string[];
  /**
   * Hands on the plain bytes of a stream in order, and at its end makes sure that they were all and the right ones: until it
   * has ended well, nothing of them is proven. May be called again. `again` is told where it has to begin anew, from another repository,
   * because what came was wrong; without it that is the end of it. Of format directory the stream is a tar (dump/directory.ts).
   * @throws {PgproofError} `object-damaged`, `object-missing`, what the store says; what `take` throws.
   */
  read(stream: 'dump' | 'globals', take: Take, run: Run, again?: () => Promise<void>): Promise<void>;
};

/** A dump of the repositories. @param copies asked afterwards for what was taken from elsewhere than the nearest. */
export function dumpSource(
  cluster: ProtectedCluster,
  record: DumpRecord,
  copies: Nearest = new Nearest(cluster.repositories),
): DumpSource {
  return {
    what: record.id,
    kind: record.kind,
    format: record.format,
    content: record.content,
    database: record.database,
    server: record.server,
    toolVersion: record.toolVersion,
    entries: record.entries,
    plainBytes: record.dump.plainBytes,
    globals: record.globals !== null,
    trusted: record.signature !== null && record.importedFrom === null,
    notes: record.findings,
    read: (stream, take, run, again) => {
      const stored = stream === 'dump' ? record.dump : record.globals;
      if (stored === null) throw new PgproofError('object-missing', `the dump ${record.id} has no globals`);
      return readStream(cluster, record, stored, run, take, { copies, ...(again === undefined ? {} : { again }) });
    },
  };
}
