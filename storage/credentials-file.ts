import { type FileHandle, open } from 'node:fs/promises';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';

/** Never printed, never a fact. `expiresAt` is absent where the source does not say. */
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
 * it is being written (absent, cut off), those read before go on until they expire or the store refuses them.
 */
export class CredentialsFile {
  readonly #path: string;
  #state = '';
  #last: StoreCredentials | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * @throws {PgproofError} `credentials-missing`: no file, one that others can read, or one that holds something else;
   * `credentials-expired`.
   */
  async read(): Promise<StoreCredentials> {
    const credentials = await this.#readOrKeep();
    if (!isOver(credentials)) return credentials;
    const expiredAt = credentials.expiresAt?.toISOString() ?? '';
    throw new PgproofError('credentials-expired', `the credentials in '${this.#path}' expired at ${expiredAt}`, {
      facts: { path: this.#path, expiredAt },
      hint: 'Whoever writes this file must write new ones; they are used as soon as they are there.',
    });
  }

  /** The store refused these: only what the file says now is to be believed. */
  forget(credentials: StoreCredentials): void {
    if (this.#last === credentials) this.#last = undefined;
  }

  async #readOrKeep(): Promise<StoreCredentials> {
    try {
      return await this.#read();
    } catch (error) {
      // A file that others can read is not being written: somebody opened it.
      if (this.#last === undefined || isOver(this.#last) || (error as PgproofError).facts?.mode) throw error;
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
    const { success, data, error } = document.safeParse(jsonOf(text));
    if (!success) {
      const fields = [...new Set(error.issues.map(({ path }) => path.join('.') || 'the whole'))];
      const hint = 'It is a JSON object: {"accessKeyId", "accessKeySecret", "securityToken"?, "expiration"?}.';
      throw this.#missing(`does not hold credentials; wrong or missing: ${fields.join(', ')}`, {}, hint);
    }
    const { expiration, ...credentials } = data;
    return { ...credentials, ...(expiration === undefined ? {} : { expiresAt: new Date(expiration) }) };
  }

  /** Quotes nothing of the content. */
  #missing(what: string, facts: Record<string, string> = {}, hint?: string): PgproofError {
    return new PgproofError('credentials-missing', `the credentials file '${this.#path}' ${what}`, {
      facts: { path: this.#path, ...facts },
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

const isOver = ({ expiresAt }: StoreCredentials): boolean =>
  expiresAt !== undefined && expiresAt.getTime() <= Date.now();

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
