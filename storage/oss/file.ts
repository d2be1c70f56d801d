import { type FileHandle, open } from 'node:fs/promises';
import * as z from 'zod';
import { PgproofError } from '../../core/errors.ts';
import type { CredentialSource, Credentials } from './credentials.ts';

const schema = z.object({
  accessKeyId: z.string().min(1),
  accessKeySecret: z.string().min(1),
  securityToken: z.string().min(1).optional(),
  expiration: z.iso.datetime({ offset: true }).optional(),
});

/** A file that others write, also while we run: it is looked at before every request, and read when it has changed. */
export class CredentialsFile implements CredentialSource {
  readonly #path: string;
  #known: { stamp: string; credentials: Credentials } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async current(): Promise<Credentials> {
    const known = this.#known;
    try {
      this.#known = await read(this.#path, known);
    } catch (error) {
      // Perhaps it is being written just now. What it said before holds until the store says otherwise.
      if (known === undefined || isOver(known.credentials)) throw error;
      return known.credentials;
    }
    const { credentials } = this.#known;
    if (!isOver(credentials)) return credentials;
    const expiredAt = (credentials.expiresAt as Date).toISOString();
    throw new PgproofError('credentials-expired', `the credentials in '${this.#path}' expired at ${expiredAt}`, {
      facts: { path: this.#path, expiredAt },
      hint: 'Whoever writes this file must write new ones; they are used as soon as they are there.',
    });
  }

  refused(credentials: Credentials): void {
    if (this.#known?.credentials === credentials) this.#known = undefined;
  }
}

type Known = { stamp: string; credentials: Credentials };

async function read(path: string, known: Known | undefined): Promise<Known> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw unusable(path, `cannot be read: ${errno}`, 'It must be readable for the user that pgproof runs as.', cause);
  }
  try {
    const { mode, ino, size, mtimeNs } = await file.stat({ bigint: true });
    if ((Number(mode) & 0o077) !== 0) throw unusable(path, 'is open to other users', `Close it: chmod 600 ${path}`);
    const stamp = `${ino}:${size}:${mtimeNs}`;
    if (known?.stamp === stamp) return known;
    return { stamp, credentials: parsed(path, await file.readFile('utf8')) };
  } finally {
    await file.close();
  }
}

/** Nothing of the text goes into the error: it is a secret. */
function parsed(path: string, text: string): Credentials {
  const hint = 'It holds {"accessKeyId", "accessKeySecret", "securityToken"?, "expiration"?} as JSON.';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw unusable(path, 'is not JSON', hint);
  }
  const result = schema.safeParse(json);
  if (!result.success) {
    const fields = [...new Set(result.error.issues.map(({ path: at }) => at.join('.') || 'the whole'))];
    throw unusable(path, `is wrong or lacks: ${fields.join(', ')}`, hint);
  }
  const { expiration, securityToken, ...key } = result.data;
  return {
    ...key,
    ...(securityToken === undefined ? {} : { securityToken }),
    ...(expiration === undefined ? {} : { expiresAt: new Date(expiration) }),
  };
}

function isOver({ expiresAt }: Credentials): boolean {
  return expiresAt !== undefined && expiresAt.getTime() <= Date.now();
}

function unusable(path: string, what: string, hint: string, cause?: unknown): PgproofError {
  return new PgproofError('credentials-missing', `the credentials file '${path}' ${what}`, {
    facts: { path },
    hint,
    cause,
  });
}
