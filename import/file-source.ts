import type { Readable } from 'node:stream';
import type { DumpFormat, DumpKind } from '../core/dump.ts';
import type { ArchiveCheck } from '../dump/archive/check.ts';
import type { DumpHead } from './head.ts';
import type { Layer } from './peel.ts';

/** A dump that lies in a file, or in the folder of a directory dump. */
export type FileSource = {
  /** Absolute, without symlinks in it. */
  path: string;
  name: string;
  format: DumpFormat;
  kind: DumpKind;
  /** How it is compressed and encrypted, from the outside in; a directory dump's own compression is none of these. */
  layers: readonly Layer[];
  /** In words: `SQL, gzip, aes-256-cbc`. */
  form: string;
  storedBytes: number;
  modifiedAt: Date;
  /** Where name and content differ, a sentence. */
  disagreement: string | null;
  /** What the dump says of itself. */
  head: DumpHead;
  /**
   * The dump's own bytes; a directory dump's as one tar. They count for nothing before the stream has ended well: a cut file shows
   * only there, as `object-damaged` with its path.
   * @param sha256 that the file as it lies there must have; not of a folder.
   * @param check that tells its end, for what it has seen then; made for it by default.
   */
  open(signal: AbortSignal, sha256?: string | null, check?: ArchiveCheck | null): Readable;
};
