import { type Extension, extend, isExtension, parseExtension } from './extension.ts';
import { blockBytes, invalid, isZeroBlock, kindOf, parseHeader, type RawHeader, type TarEntry } from './header.ts';

export type { TarEntry, TarKind } from './header.ts';

export type TarEvent =
  | { kind: 'entry'; entry: TarEntry }
  /** The next bytes of the entry: a view into the chunk that was read, not a copy. */
  | { kind: 'content'; bytes: Buffer }
  /** The entry is complete. Every entry has one, also folders and empty files. */
  | { kind: 'end'; entry: TarEntry };

/** Long names and pax headers are held in memory; a longer one is no name. */
const maxExtensionBytes = 1024 * 1024;

/**
 * A tar stream, read as it passes: ustar, GNU long names and base-256 sizes, pax path, linkpath and size. It keeps one
 * header and copies no content, so it costs nothing beside what its caller does with the bytes.
 *
 *     for await (const chunk of stream) for (const event of reader.read(chunk)) …
 *     reader.finish();
 *
 * Whoever stops in the middle of `read` cannot go on with this reader.
 */
export class TarReader {
  readonly #header = Buffer.alloc(blockBytes);
  #headerFilled = 0;
  #entry: TarEntry | undefined;
  /** An extension member that is being collected. */
  #collecting: { header: RawHeader; content: Buffer; filled: number } | undefined;
  #extension: Extension = {};
  /** Of all members that follow (pax `g`). */
  #global: Extension = {};
  #contentLeft = 0;
  #paddingLeft = 0;
  #zeroBlocks = 0;

  /**
   * What the next bytes of the stream say; chunks may be cut anywhere.
   * @throws {PgproofError} `tar-invalid`
   */
  *read(chunk: Buffer): Generator<TarEvent, void> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#contentLeft > 0) {
        const bytes = chunk.subarray(at, at + this.#contentLeft);
        at += bytes.length;
        this.#contentLeft -= bytes.length;
        if (this.#entry !== undefined) yield { kind: 'content', bytes };
        else this.#collect(bytes);
        if (this.#contentLeft === 0) yield* this.#endMember();
      } else if (this.#paddingLeft > 0) {
        const skipped = Math.min(this.#paddingLeft, chunk.length - at);
        at += skipped;
        this.#paddingLeft -= skipped;
      } else {
        const taken = chunk.copy(this.#header, this.#headerFilled, at, at + blockBytes - this.#headerFilled);
        at += taken;
        this.#headerFilled += taken;
        if (this.#headerFilled === blockBytes) yield* this.#beginMember();
      }
    }
  }

  /** @throws {PgproofError} `tar-invalid` unless the stream has ended where a tar stream ends: two blocks of zeros. */
  finish(): void {
    if (this.#entry !== undefined) throw invalid(`it ends inside '${this.#entry.name}'`, { name: this.#entry.name });
    if (this.#zeroBlocks < 2 || this.#headerFilled > 0) throw invalid('it ends before its end mark');
  }

  *#beginMember(): Generator<TarEvent, void> {
    this.#headerFilled = 0;
    if (isZeroBlock(this.#header)) {
      this.#zeroBlocks += 1;
      return;
    }
    if (this.#zeroBlocks > 0) throw invalid('it goes on after its end mark');
    const header = parseHeader(this.#header);
    if (isExtension(header)) this.#beginExtension(header);
    else yield this.#beginEntry(extend(header, { ...this.#global, ...this.#extension }));
    if (this.#contentLeft === 0) yield* this.#endMember();
  }

  #beginExtension(header: RawHeader): void {
    if (header.bytes > maxExtensionBytes) throw invalid('a name or pax header is too long');
    this.#collecting = { header, content: Buffer.alloc(header.bytes), filled: 0 };
    this.#expect(header.bytes);
  }

  #beginEntry(header: RawHeader): TarEvent {
    const kind = kindOf(header);
    const { typeFlag: _, ...rest } = header;
    // A hardlink or symlink may carry the size of what it points at, and has no content.
    const bytes = kind === 'file' || kind === 'other' ? header.bytes : 0;
    const entry = { ...rest, kind, bytes, name: kind === 'folder' ? header.name.replace(/\/+$/, '') : header.name };
    this.#entry = entry;
    this.#extension = {};
    this.#expect(bytes);
    return { kind: 'entry', entry };
  }

  *#endMember(): Generator<TarEvent, void> {
    if (this.#entry !== undefined) {
      const entry = this.#entry;
      this.#entry = undefined;
      yield { kind: 'end', entry };
    } else if (this.#collecting !== undefined) {
      const { header, content } = this.#collecting;
      this.#collecting = undefined;
      const extension = parseExtension(header, content);
      if (header.typeFlag === 'g') this.#global = { ...this.#global, ...extension };
      else this.#extension = { ...this.#extension, ...extension };
    }
  }

  #collect(bytes: Buffer): void {
    const collecting = this.#collecting;
    if (collecting !== undefined) collecting.filled += bytes.copy(collecting.content, collecting.filled);
  }

  #expect(bytes: number): void {
    this.#contentLeft = bytes;
    this.#paddingLeft = (blockBytes - (bytes % blockBytes)) % blockBytes;
  }
}

/** Whether unpacking it would write outside of the folder. */
export const leadsElsewhere = ({ name, rawName }: Pick<TarEntry, 'name' | 'rawName'>): boolean =>
  name === '' || name.split('/').some((piece) => piece === '' || piece === '..') || rawName.includes(0);
