import { execa } from 'execa';
import { PgproofError } from '../../core/errors.ts';

export type OsUser = { name: string; uid: number; gid: number; home: string };

/** @throws {PgproofError} `install-refused` when there is none of that name, or it is root. */
export async function findUser(name: string): Promise<OsUser> {
  const { exitCode, stdout } = await execa('getent', ['passwd', name], { reject: false });
  const [, , uid, gid, , home] = stdout.split(':');
  if (exitCode !== 0 || home === undefined)
    throw new PgproofError('install-refused', `there is no OS user '${name}'`, {
      facts: { user: name },
      hint: `Name the owner of the data directory with --user. For a control worker alone: useradd --system ${name}`,
    });
  if (Number(uid) === 0)
    throw new PgproofError('root-refused', `a service does not run as '${name}'`, {
      facts: { user: name },
      hint: 'Name the owner of the data directory with --user; for a control worker, any user without rights.',
    });
  return { name, uid: Number(uid), gid: Number(gid), home };
}

/** Does something with the rights of a user, when root asks: sockets, peer logins and files then are that user's. */
export async function asUser<T>({ name, uid, gid }: OsUser, use: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return use();
  const groups = process.getgroups?.() ?? [];
  (process as { initgroups?(user: string, group: number): void }).initgroups?.(name, gid); // @types/node lacks it
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return await use();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}
