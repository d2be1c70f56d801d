import { PgproofError } from '../core/errors.ts';
import { leadsElsewhere, type TarEntry, TarReader } from '../postgres/tar/reader.ts';
import { type ChecksumAlgorithm, type FileChecksum, fileChecksum } from './checksum.ts';
import { type PathKey, pathKey } from './manifest.ts';

/** Size and checksum of every file that passed; what the manifest is held against at the end. A few hundred bytes a file. */
export type Passed = Map<PathKey, { bytes: number; checksum: string }>;

/** Files whose content is wanted here, because PostgreSQL sends it nowhere else. */
export type Kept = {
  /** PostgreSQL's manifest, the stream's last member; absent from an archive that was staged. */
  manifest: Buffer | null;
  /** global/pg_control. */
  control: Buffer | null;
};

/** The server's manifest grows with its files, about 150 bytes each: this is room for three million. */
const maxManifestBytes = 512 * 1024 * 1024;
const controlBytes = 8192;

/**
 * Looks at an archive of a base backup while it passes: every file's size and checksum, and the few contents that the
 * backup itself needs. It changes nothing and copies nothing else.
 */
export class Tap {
  readonly kept: Kept = { manifest: null, control: null };
  readonly #reader = new TarReader();
  readonly #passed: Passed;
  readonly #prefix: string;
  readonly #algorithm: ChecksumAlgorithm;
  #checksum: FileChecksum;
  #keeping: Buffer[] | undefined;
  #keepLeft = 0;

  /** @param tablespace its OID, under which the manifest has its files; null for the data directory itself. */
  constructor(passed: Passed, tablespace: string | null, algorithm: ChecksumAlgorithm) {
    this.#passed = passed;
    this.#prefix = tablespace === null ? '' : `pg_tblspc/${tablespace}/`;
    this.#algorithm = algorithm;
    this.#checksum = fileChecksum(algorithm);
  }

  /** @throws {PgproofError} `tar-invalid`, `backup-unverified` */
  read(chunk: Buffer): void {
    for (const event of this.#reader.read(chunk)) {
      if (event.kind === 'content') this.#content(event.bytes);
      else if (event.kind === 'entry') this.#begin(event.entry);
      else this.#end(event.entry);
    }
  }

  /** @throws {PgproofError} `tar-invalid` when the archive was cut off. */
  finish(): void {
    this.#reader.finish();
  }

  #begin(entry: TarEntry): void {
    const isLink = entry.kind === 'symlink' && !/^pg_tblspc\/\d+$/.test(entry.name);
    if (isLink || leadsElsewhere(entry))
      throw unexpected(entry, isLink ? 'as a symlink' : 'with a name that leads elsewhere');
    this.#checksum = fileChecksum(this.#algorithm);
    this.#keepLeft = this.#wanted(entry);
    this.#keeping = this.#keepLeft > 0 ? [] : undefined;
  }

  #wanted({ name, bytes }: TarEntry): number {
    if (this.#prefix !== '') return 0;
    if (name === 'global/pg_control') return Math.min(bytes, controlBytes);
    if (name !== 'backup_manifest') return 0;
    if (bytes <= maxManifestBytes) return bytes;
    throw new PgproofError('manifest-invalid', `PostgreSQL's backup_manifest has ${bytes} bytes`, { facts: { bytes } });
  }

  #content(bytes: Buffer): void {
    this.#checksum.update(bytes);
    if (this.#keeping === undefined || this.#keepLeft === 0) return;
    const wanted = Buffer.from(bytes.subarray(0, this.#keepLeft));
    this.#keeping.push(wanted);
    this.#keepLeft -= wanted.length;
  }

  #end(entry: TarEntry): void {
    const kept = this.#keeping === undefined ? null : Buffer.concat(this.#keeping);
    if (this.#prefix === '' && entry.name === 'global/pg_control') this.kept.control = kept;
    if (this.#prefix === '' && entry.name === 'backup_manifest') {
      this.kept.manifest = kept; // it cannot list itself
      return;
    }
    // Folders and links are not in the manifest; a link's target is PostgreSQL's own tablespace_map once more.
    if (entry.kind === 'folder' || entry.kind === 'symlink') return;
    const path = pathKey(Buffer.concat([Buffer.from(this.#prefix), entry.rawName]));
    if (entry.kind !== 'file' || this.#passed.has(path))
      throw unexpected(entry, this.#passed.has(path) ? 'twice' : `as a ${entry.kind}`);
    this.#passed.set(path, { bytes: entry.bytes, checksum: this.#checksum.digest() });
  }
}

function unexpected({ name }: TarEntry, what: string): PgproofError {
  return new PgproofError('backup-unverified', `pg_basebackup sent '${name}' ${what}`, { facts: { path: name } });
}
