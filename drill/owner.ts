import { readFileSync } from 'node:fs';
import * as z from 'zod';

/** A process, so that another one with the same number is not taken for it: not after its end, not after a reboot. */
export const owner = z.object({ pid: z.number().int().positive(), bootId: z.string(), startTicks: z.string() });
export type Owner = z.infer<typeof owner>;

export function thisProcess(): Owner {
  return { pid: process.pid, bootId: bootId(), startTicks: startTicks(process.pid) ?? '' };
}

export function isAlive(who: Owner): boolean {
  return who.bootId === bootId() && startTicks(who.pid) === who.startTicks;
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Field 22 of /proc/<pid>/stat, counted behind the command's name, which may hold anything. Null: no such process, or a zombie. */
export function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
