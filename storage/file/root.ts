import { stat } from 'node:fs/promises';
import { PgproofError } from '../../core/errors.ts';
import { isErrno, storeError } from './errors.ts';

type Identity = { device: bigint; inode: bigint };

/**
 * Remembers which folder it is. When a file system is unmounted under us, the empty folder below it has the same path:
 * what is written there is gone once it is mounted again, and its listing says that there is nothing.
 */
export class Root {
  readonly path: string;
  #identity: Identity | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws {PgproofError} `store-unreachable` when the folder is absent, or another than at first. */
  async assertSame(): Promise<void> {
    const now = await this.#identify();
    this.#identity ??= now;
    if (now.device === this.#identity.device && now.inode === this.#identity.inode) return;
    throw new PgproofError('store-unreachable', `'${this.path}' is another folder than the one that was opened`, {
      facts: { path: this.path },
      hint: 'Was its file system unmounted? Mount it again, or restart pgproof if the folder was replaced on purpose.',
    });
  }

  async #identify(): Promise<Identity> {
    try {
      const { dev, ino } = await stat(this.path, { bigint: true });
      return { device: dev, inode: ino };
    } catch (cause) {
      if (!isErrno(cause, 'ENOENT')) throw storeError('look at', this.path, cause);
      throw new PgproofError('store-unreachable', `the folder '${this.path}' is not there`, {
        facts: { path: this.path },
        cause,
      });
    }
  }
}
