import { readdirSync, readFileSync } from 'node:fs';

/**
 * The most memory that a process and its descendants had together, in bytes: the sum of their PSS, so that shared pages count
 * once. Looked at ten times a second until `stop`.
 */
export function watchMemory(pid: number): { stop(): number } {
  let peak = 0;
  const look = () => {
    peak = Math.max(
      peak,
      [pid, ...descendantsOf(pid)].reduce((sum, each) => sum + pssOf(each), 0),
    );
  };
  const timer = setInterval(look, 100);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

function descendantsOf(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const stat = read(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
  }
  const below = (of: number): number[] => (parents.get(of) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}

function pssOf(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}
