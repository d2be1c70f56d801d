import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The processes of a group, as /proc tells them. Source: proc(5), stat: the group is the third number behind the name. */
export function processesOf(group: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => groupOf(pid) === group);
}

/** What these processes have open, as paths. */
export function openFiles(pids: readonly number[]): Set<string> {
  const open = new Set<string>();
  for (const pid of pids) {
    for (const name of unlessGone(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      const path = unlessGone(() => readlinkSync(`/proc/${pid}/fd/${name}`));
      if (path !== undefined) open.add(path);
    }
  }
  return open;
}

function groupOf(pid: number): number | undefined {
  const stat = unlessGone(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

/**
 * A process may end, and a file be closed, at any moment. One of ours that is ending belongs to root in /proc (EACCES): its memory is gone
 * already, so that it writes nothing any more.
 */
function unlessGone<Result>(look: () => Result): Result | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}
