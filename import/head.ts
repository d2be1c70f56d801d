import type { Content } from './content.ts';

/** What a dump says of itself in its first kilobytes; null where it does not. */
export type DumpHead = {
  database: string | null;
  /** As the server said it, e.g. 15.18 (Debian 15.18-0+deb12u1). */
  serverVersion: string | null;
  toolVersion: string | null;
  encoding: string | null;
  /** Of an archive's own form: 1.14 is that of pg_dump 12 to 15. */
  archiveVersion: string | null;
  /** pg_dump's own: none, gzip, gzip:6, zstd. */
  compression: string | null;
  /** What the clocks of pg_dump's host showed, in milliseconds since 1970 as if it were UTC. */
  wallTime: number | null;
};

const tarBlockBytes = 512;

export function readHead(content: Content, head: Buffer): DumpHead {
  if (content === 'text') return readText(head.toString('latin1'));
  try {
    return readArchive(new Archive(content === 'tar' ? head.subarray(tarBlockBytes) : head));
  } catch {
    return nothing; // of a version that came later, or cut: pg_restore says what is wrong with it
  }
}

const nothing: DumpHead = {
  database: null,
  serverVersion: null,
  toolVersion: null,
  encoding: null,
  archiveVersion: null,
  compression: null,
  wallTime: null,
};

function readText(text: string): DumpHead {
  const first = (pattern: RegExp): string | null => pattern.exec(text)?.[1] ?? null;
  return {
    ...nothing,
    serverVersion: first(/^-- Dumped from database version (.+?)\r?$/m),
    toolVersion: first(/^-- Dumped by pg_dump(?:all)? version (.+?)\r?$/m),
    encoding: first(/^SET client_encoding = '([^']+)';/m),
  };
}

type Tm = [second: number, minute: number, hour: number, day: number, month: number, year: number, isSummer: number];

const algorithms = ['none', 'gzip', 'lz4', 'zstd'];

/** Source: PostgreSQL src/bin/pg_dump/pg_backup_archiver.c, WriteHead. */
function readArchive(archive: Archive): DumpHead {
  if (archive.bytes(5).toString('latin1') !== 'PGDMP') return nothing;
  const [major, minor] = [archive.byte(), archive.byte(), archive.byte()] as const;
  archive.intBytes = archive.byte();
  archive.bytes(2); // size of offsets, format
  const isNamed = major > 1 || minor >= 15;
  const compression = isNamed ? (algorithms[archive.byte()] ?? null) : levelOf(archive.int());
  // As in struct tm, and last whether it was summer.
  const [second, minute, hour, day, month, year] = Array.from({ length: 7 }, () => archive.int()) as Tm;
  return {
    ...nothing,
    archiveVersion: `${major}.${minor}`,
    compression,
    wallTime: Date.UTC(1900 + year, month, day, hour, minute, second),
    database: archive.text(),
    serverVersion: archive.text(),
    toolVersion: archive.text(),
  };
}

const levelOf = (level: number): string => (level === 0 ? 'none' : level < 0 ? 'gzip' : `gzip:${level}`);

/** Numbers and texts as pg_dump writes them. */
class Archive {
  intBytes = 4;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  bytes(count: number): Buffer {
    if (count < 0 || this.#at + count > this.#bytes.length) throw new RangeError('it ends before that');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  byte(): number {
    return this.bytes(1)[0] as number;
  }

  int(): number {
    const isNegative = this.byte() !== 0;
    const value = this.bytes(this.intBytes).readUIntLE(0, this.intBytes);
    return isNegative ? -value : value;
  }

  text(): string | null {
    const length = this.int();
    return length < 0 ? null : this.bytes(length).toString('utf8');
  }
}
