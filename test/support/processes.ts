import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type ProcessInfo = { pid: number; parent: number; command: string };

/**
 * Processes that belong to a marker: they inherited it in their environment, or work in, or name on their command
 * line, a folder of that name. (PostgreSQL's children overwrite their environment, but work in the data folder.)
 */
export function processesOf(marker: string): ProcessInfo[] {
  return allPids()
    .filter((pid) => pid !== process.pid && belongsTo(pid, marker))
    .map((pid) => ({ pid, parent: parentOf(pid), command: commandOf(pid) }))
    .filter(({ command }) => command !== ''); // a zombie: its parent has still to ask for its end
}

/** Process ids of the direct children; a bare Debian has no `ps`. */
export function childrenOf(parent: number): number[] {
  return allPids().filter((pid) => parentOf(pid) === parent);
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function belongsTo(pid: number, marker: string): boolean {
  return (
    read(pid, 'environ').includes(marker) || commandOf(pid).includes(marker) || workingDirOf(pid).startsWith(marker)
  );
}

const commandOf = (pid: number) => read(pid, 'cmdline').replaceAll('\0', ' ').trim();

function parentOf(pid: number): number {
  const stat = read(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

function workingDirOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return ''; // ended meanwhile, or another user's
  }
}

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return ''; // ended meanwhile, or another user's
  }
}
