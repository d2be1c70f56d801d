import { randomBytes } from 'node:crypto';
import { type Body, joined } from './body.ts';
import { noSuchKey, OssFailure } from './failure.ts';

/** Headers that are kept with an object. */
export type Kept = { storageClass: string; encryption: string | undefined; kmsKeyId: string | undefined };

/** One version; `body` undefined: a delete marker. */
export type Version = Kept & {
  versionId: string | undefined;
  body: Body | undefined;
  etag: string;
  modified: Date;
};

export type Part = { body: Body; etag: string };
export type UploadState = { key: string; id: string; startedAt: Date; kept: Kept; parts: Map<number, Part> };
export type Worm = { days: number; state: 'InProgress' | 'Locked' };
export type Versioning = 'off' | 'Enabled' | 'Suspended';

const minimumPartBytes = 100 * 1024;

/** What one bucket holds, and the rules it holds it by. Every change is one synchronous step. */
export class OssBucket {
  readonly name: string;
  readonly region: string;
  versioning: Versioning = 'off';
  worm: Worm | undefined;
  lifecycle: string | undefined;
  readonly uploads = new Map<string, UploadState>();
  readonly #versions = new Map<string, Version[]>();
  readonly #now: () => Date;

  constructor(name: string, region: string, now: () => Date) {
    this.name = name;
    this.region = region;
    this.#now = now;
  }

  /** Keys that have an object now, in byte order. */
  keys(): string[] {
    const keys = [...this.#versions.keys()].filter((key) => this.current(key) !== undefined);
    return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  /** All versions of a key, the newest first. */
  versions(key: string): readonly Version[] {
    return this.#versions.get(key) ?? [];
  }

  /** Undefined: none, or deleted. */
  current(key: string): Version | undefined {
    const newest = this.versions(key)[0];
    return newest?.body === undefined ? undefined : newest;
  }

  get(key: string): Version & { body: Body } {
    const newest = this.versions(key)[0];
    if (newest?.body !== undefined) return newest as Version & { body: Body };
    throw noSuchKey(key, newest === undefined ? {} : { 'x-oss-delete-marker': 'true' });
  }

  /** Whether a put would be refused: asked when it begins, and again when it is done. */
  assertWritable(key: string, forbidOverwrite: boolean): void {
    const current = this.current(key);
    // Versioned buckets ignore x-oss-forbid-overwrite, also once versioning is suspended.
    if (current === undefined || this.versioning !== 'off') return;
    if (forbidOverwrite)
      throw new OssFailure(
        409,
        'FileAlreadyExists',
        'The object you specified already exists and can not be overwritten.',
        {
          ec: '0026-00000020',
        },
      );
    this.#assertMutable(key, current);
  }

  put(key: string, body: Body, etag: string, kept: Kept, forbidOverwrite: boolean): Version {
    this.assertWritable(key, forbidOverwrite);
    const version: Version = { ...kept, body, etag, modified: this.#now(), versionId: this.#newVersionId() };
    this.#add(key, version);
    return version;
  }

  /** @returns the delete marker that was added, if one was. */
  delete(key: string, versionId: string | undefined): Version | undefined {
    if (versionId !== undefined) {
      const doomed = this.versions(key).find((version) => version.versionId === versionId);
      if (doomed?.body !== undefined) this.#assertMutable(key, doomed);
      this.#keep(
        key,
        this.versions(key).filter((version) => version !== doomed),
      );
      return undefined;
    }
    const current = this.current(key);
    if (this.versioning === 'off') {
      if (current !== undefined) this.#assertMutable(key, current);
      this.#versions.delete(key);
      return undefined;
    }
    const marker: Version = {
      versionId: this.#newVersionId(),
      body: undefined,
      etag: '',
      modified: this.#now(),
      storageClass: 'Standard',
      encryption: undefined,
      kmsKeyId: undefined,
    };
    this.#add(key, marker);
    return marker;
  }

  /** As a lifecycle rule, or somebody else, would do it: nothing is asked. */
  forget(key: string): void {
    this.#versions.delete(key);
  }

  initiate(key: string, kept: Kept): UploadState {
    const id = randomBytes(16).toString('hex').toUpperCase();
    const upload: UploadState = { key, id, startedAt: this.#now(), kept, parts: new Map() };
    this.uploads.set(id, upload);
    return upload;
  }

  upload(key: string, id: string): UploadState {
    const upload = this.uploads.get(id);
    if (upload?.key === key) return upload;
    throw new OssFailure(
      404,
      'NoSuchUpload',
      'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
      { ec: '0042-00000002', elements: { UploadId: id } },
    );
  }

  complete(key: string, id: string, wanted: readonly { number: number; etag: string }[], forbid: boolean): Version {
    const upload = this.upload(key, id);
    const parts = wanted.map(({ number, etag }, index) => {
      const part = upload.parts.get(number);
      if (index > 0 && number <= (wanted[index - 1] as { number: number }).number)
        throw new OssFailure(400, 'InvalidPartOrder', 'The list of parts was not in ascending order.');
      if (part === undefined || part.etag !== etag)
        throw new OssFailure(400, 'InvalidPart', 'One or more of the specified parts could not be found.');
      if (part.body.bytes < minimumPartBytes && index < wanted.length - 1)
        throw new OssFailure(
          400,
          'EntityTooSmall',
          'Your proposed upload is smaller than the minimum allowed object size.',
        );
      return part.body;
    });
    if (parts.length === 0) throw new OssFailure(400, 'MalformedXML', 'The XML you provided was not well-formed.');
    const body = joined(parts);
    const etag = `${body.md5.toString('hex').toUpperCase()}-${parts.length}`;
    const version = this.put(key, body, etag, upload.kept, forbid);
    this.uploads.delete(id);
    return version;
  }

  #add(key: string, version: Version): void {
    const others = this.versioning === 'off' ? [] : this.versions(key);
    // A suspended bucket has one version without an id of its own.
    this.#keep(key, [
      version,
      ...others.filter(({ versionId }) => versionId !== 'null' || this.versioning !== 'Suspended'),
    ]);
  }

  #keep(key: string, versions: Version[]): void {
    if (versions.length === 0) this.#versions.delete(key);
    else this.#versions.set(key, versions);
  }

  #newVersionId(): string | undefined {
    if (this.versioning === 'off') return undefined;
    return this.versioning === 'Suspended' ? 'null' : `CAEQ${randomBytes(24).toString('hex')}`;
  }

  #assertMutable(key: string, version: Version): void {
    if (this.worm === undefined) return;
    if (version.modified.getTime() + this.worm.days * 86_400_000 <= this.#now().getTime()) return;
    throw new OssFailure(409, 'FileImmutable', 'The object you specified is immutable.', {
      ec: '0051-00000001',
      elements: { Key: key },
    });
  }
}
