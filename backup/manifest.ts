import { createHash } from 'node:crypto';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import type { TimelineId } from '../core/segment.ts';

/** A file as PostgreSQL's `backup_manifest` has it. */
export type ManifestFile = { path: PathKey; bytes: number; algorithm: string; checksum: string };

/** The bytes of a path, one character each: names in a data directory need not be UTF-8, and two names must not become one. */
export type PathKey = string & { readonly brand: 'PathKey' };

export type WalRange = { timeline: TimelineId; startLsn: Lsn; endLsn: Lsn };

export type Manifest = {
  /** 1; since PostgreSQL 17: 2. */
  version: number;
  /** Only version 2 has it. */
  systemId: string | null;
  /** The WAL that the backup needs to become consistent; one range for each timeline. */
  walRanges: WalRange[];
};

export const pathKey = (name: Buffer): PathKey => name.toString('latin1') as PathKey;

/**
 * Reads a whole `backup_manifest`, after its own checksum, and hands each file to `onFile`. PostgreSQL writes one file a
 * line, and it is read that way: a manifest of a million files never becomes one object tree.
 * @throws {PgproofError} `manifest-invalid` when its checksum is wrong or a line is not of the form.
 * Source: PostgreSQL src/backend/backup/backup_manifest.c.
 */
export function readManifest(bytes: Buffer, onFile: (file: ManifestFile) => void): Manifest {
  const body = checkedBody(bytes);
  const manifest: Manifest = { version: 0, systemId: null, walRanges: [] };
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf(0x0a, at);
    readLine(body.toString('utf8', at, end).replace(/,$/, ''), manifest, onFile);
    at = end + 1;
  }
  if (manifest.version === 0 || manifest.walRanges.length === 0) throw invalid('it has no version or no WAL range');
  return manifest;
}

/** All lines before the last one, which holds the SHA-256 of just these bytes. */
function checkedBody(bytes: Buffer): Buffer {
  const begin = bytes.lastIndexOf('"Manifest-Checksum"');
  const stated = /^"Manifest-Checksum": "([0-9a-f]{64})"\}\n?$/.exec(bytes.toString('latin1', Math.max(begin, 0)));
  if (begin < 1 || stated === null) throw invalid('it is cut off');
  const body = bytes.subarray(0, begin);
  if (body.at(-1) !== 0x0a || createHash('sha256').update(body).digest('hex') !== stated[1]) {
    throw invalid('its own checksum is wrong');
  }
  return body;
}

function readLine(line: string, manifest: Manifest, onFile: (file: ManifestFile) => void): void {
  if (line.startsWith('{ "Path": ') || line.startsWith('{ "Encoded-Path": ')) {
    onFile(parseLine(line, fileLine));
  } else if (line.startsWith('{ "Timeline": ')) {
    manifest.walRanges.push(parseLine(line, rangeLine));
  } else if (line.startsWith('{ "PostgreSQL-Backup-Manifest-Version": ')) {
    manifest.version = parseLine(`${line}}`, versionLine)['PostgreSQL-Backup-Manifest-Version'];
  } else if (/^"System-Identifier": \d{1,20}$/.test(line)) {
    // Exceeds 2^53, so JSON.parse would round it.
    manifest.systemId = line.slice('"System-Identifier": '.length);
  } else if (!['"Files": [', ']', '"WAL-Ranges": ['].includes(line)) {
    throw invalid(`it has the line '${line.slice(0, 80)}'`);
  }
}

const versionLine = z.object({ 'PostgreSQL-Backup-Manifest-Version': z.union([z.literal(1), z.literal(2)]) });

const fileLine = z
  .object({
    Path: z.string().optional(),
    'Encoded-Path': z
      .string()
      .regex(/^([0-9a-f]{2})+$/)
      .optional(),
    Size: z.number().int().nonnegative(),
    'Checksum-Algorithm': z.string().optional(),
    Checksum: z.string().optional(),
  })
  .refine((line) => (line.Path === undefined) !== (line['Encoded-Path'] === undefined))
  .transform(
    (line): ManifestFile => ({
      path: pathKey(
        line.Path === undefined ? Buffer.from(line['Encoded-Path'] as string, 'hex') : Buffer.from(line.Path, 'utf8'),
      ),
      bytes: line.Size,
      algorithm: line['Checksum-Algorithm'] ?? 'NONE',
      checksum: line.Checksum ?? '',
    }),
  );

const rangeLine = z
  .object({ Timeline: z.number().int().positive(), 'Start-LSN': z.string(), 'End-LSN': z.string() })
  .transform(
    (line): WalRange => ({
      timeline: line.Timeline,
      startLsn: parseLsn(line['Start-LSN']),
      endLsn: parseLsn(line['End-LSN']),
    }),
  );

function parseLine<Schema extends z.ZodType>(line: string, schema: Schema): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw invalid(`it has the line '${line.slice(0, 80)}'`, cause);
  }
}

function invalid(why: string, cause?: unknown): PgproofError {
  return new PgproofError('manifest-invalid', `PostgreSQL's backup_manifest is not readable: ${why}`, { cause });
}
