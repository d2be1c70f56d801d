import { type FileHandle, open } from 'node:fs/promises';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';

export type StoreCredentials = {
  accessKeyId: string;
  accessKeySecret: string;
  securityToken?: string | undefined;
  expiresAt?: Date | undefined;
};

const maxBytes = 64 << 10;
const document = z.object({
  accessKeyId: z.string().min(1),
  accessKeySecret: z.string().min(1),
  securityToken: z.string().min(1).optional(),
  expiration: z.iso.datetime({ offset: true }).optional(),
});

/**
 * Credentials of a store in a JSON file of mode 0600, read again whenever it changed: what rotates them replaces the file. While
 * it is being written (absent, cut off), those read before go on until they expire.
 */
export class CredentialsFile {
  readonly #path: string;
  #state = '';
  #last: StoreCredentials | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {PgproofError} `credentials-missing`: no file, one that others can read, or one that holds something else. */
  async read(): Promise<StoreCredentials> {
    try {
      return await this.#read();
    } catch (error) {
      if (this.#last === undefined || this.#expired(this.#last) || (error as PgproofError).facts?.mode) throw error;
      return this.#last;
    }
  }

  async #read(): Promise<StoreCredentials> {
    const file = await open(this.#path).catch((cause: NodeJS.ErrnoException) => {
      throw this.#missing(`cannot be read: ${cause.code}`, { errno: cause.code ?? '' }, unreadable(cause.code));
    });
    try {
      const state = await this.#stateOf(file);
      if (this.#last === undefined || state !== this.#state) this.#last = this.#parse(await file.readFile('utf8'));
      this.#state = state;
      return this.#last;
    } finally {
      await file.close();
    }
  }

  async #stateOf(file: FileHandle): Promise<string> {
    const { mode, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
    const rights = (mode & 0o777n).toString(8).padStart(4, '0');
    if ((mode & 0o77n) !== 0n) {
      const hint = `Make it private: chmod 600 ${this.#path}`;
      throw this.#missing(`has mode ${rights}: others can read it`, { mode: rights }, hint);
    }
    if (size > maxBytes) throw this.#missing(`has more than ${maxBytes} bytes`);
    return [ino, size, mtimeNs, ctimeNs].join();
  }

  #parse(text: string): StoreCredentials {
    const { success, data } = document.safeParse(jsonOf(text));
    const hint = 'It is a JSON object: {"accessKeyId", "accessKeySecret", "securityToken"?, "expiration"?}.';
    if (!success) throw this.#missing('does not hold credentials', {}, hint);
    const { expiration, ...credentials } = data;
    return { ...credentials, ...(expiration === undefined ? {} : { expiresAt: new Date(expiration) }) };
  }

  #expired({ expiresAt }: StoreCredentials): boolean {
    return expiresAt !== undefined && expiresAt.getTime() <= Date.now();
  }

  /** Quotes nothing of the content. */
  #missing(what: string, facts: Record<string, string> = {}, hint?: string): PgproofError {
    return new PgproofError('credentials-missing', `the credentials file '${this.#path}' ${what}`, {
      facts: { path: this.#path, ...facts },
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

const unreadable = (errno: string | undefined): string =>
  errno === 'ENOENT'
    ? 'Write it, with mode 0600: {"accessKeyId", "accessKeySecret", "securityToken"?, "expiration"?}. Or correct `credentials`.'
    : 'It must belong to the user that runs pgproof, with mode 0600.';

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // its error would quote the text
  }
}
