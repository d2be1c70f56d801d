import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Spool, SpoolFile } from './spool.ts';

/**
 * Notes of what repositories have of the spool while another one still lacks it: `held/<repository>/<file>`. They only save
 * work: a note that is lost makes the file go there again, which changes nothing. A wrong one would lose WAL; so a note
 * names the very file (inode, size, time of its last byte) and the very repository, and goes before its file does.
 */
export class Held {
  readonly #spool: Spool;
  readonly #ids = new Map<string, string>();
  /** Identities of files by repository and file name. */
  readonly #notes = new Map<string, Map<string, string>>();
  /** Names that have a note on disk, by repository. */
  readonly #kept = new Map<string, Set<string>>();

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  async load(repository: string, id: string): Promise<void> {
    this.#ids.set(repository, id);
    const folder = this.#folder(repository);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = await this.#stillWaiting(folder);
    const own = new Map<string, string>();
    // One after the other: after a long outage there are thousands.
    for (const name of names) {
      const [noted, identity, end] = (await readFile(join(folder, name), 'utf8')).split(' ');
      // A note that a killed writer left unfinished has no end.
      if (noted === id && identity !== undefined && end === 'held') own.set(name, identity);
    }
    this.#notes.set(repository, own);
    this.#kept.set(repository, new Set(names));
  }

  has(repository: string, { name, identity }: SpoolFile): boolean {
    return this.#notes.get(repository)?.get(name) === identity;
  }

  add(repository: string, { name, identity }: SpoolFile): void {
    this.#notes.get(repository)?.set(name, identity);
  }

  /** For the next process. Not flushed: after a power cut the file is shipped once more. */
  async keep(repository: string, { name, identity }: SpoolFile): Promise<void> {
    this.#kept.get(repository)?.add(name);
    const path = join(this.#folder(repository), name);
    await writeFile(path, `${this.#ids.get(repository)} ${identity} held`, { mode: 0o600 });
    // Another one's last word may have let the file go while this was written.
    if (this.#notes.get(repository)?.get(name) !== identity) await rm(path, { force: true });
  }

  async forget(repositories: readonly string[], { name }: SpoolFile): Promise<void> {
    for (const repository of repositories) {
      this.#notes.get(repository)?.delete(name);
      if (this.#kept.get(repository)?.delete(name)) await rm(join(this.#folder(repository), name), { force: true });
    }
  }

  /** Notes of files that have left the spool are no longer of use. */
  async #stillWaiting(folder: string): Promise<string[]> {
    const waiting = new Set(await readdir(this.#spool.incoming));
    const names = await readdir(folder);
    for (const name of names) if (!waiting.has(name)) await rm(join(folder, name), { force: true });
    return names.filter((name) => waiting.has(name));
  }

  #folder(repository: string): string {
    return join(this.#spool.root, 'held', repository);
  }
}
