import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { takeBackup } from '../../backup/backup.ts';
import { type DrillResult, phasesOutsideRto } from '../../core/report.ts';
import type { Progress, Run } from '../../core/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { runShipper } from '../../wal/shipper.ts';
import { openStage, type Stage } from '../support/stage.ts';

/** A protected cluster whose shipper runs in this process. */
export type ProtectedStage = Stage & {
  pauseShipping(): Promise<void>;
  resumeShipping(): void;
};

const never = new AbortController().signal;
export const quiet: Run = { signal: never, progress: () => {} };

/** A run that is told of everything the drill says. */
export function listening(on: (progress: Progress) => void, signal: AbortSignal = never): Run {
  return { signal, progress: on };
}

type Options = { backup?: boolean; prepare?: (stage: Stage) => Promise<void> };

/** With one backup, unless asked otherwise. `prepare` runs before it. */
export async function openProtected(major: string, { backup = true, prepare }: Options = {}): Promise<ProtectedStage> {
  const stage = await openStage({ major, ports: { port: 1, uiPort: 2 } });
  let shipping: { stop: AbortController; ended: Promise<void> } | null = null;
  const pauseShipping = async (): Promise<void> => {
    shipping?.stop.abort();
    await shipping?.ended;
    shipping = null;
  };
  const resumeShipping = (): void => {
    const stop = new AbortController();
    shipping = { stop, ended: runShipper(stage.cluster, { signal: stop.signal, intervalMs: 100 }) };
  };
  const dispose = async (): Promise<void> => {
    await pauseShipping();
    await stage.dispose();
  };
  try {
    resumeShipping();
    await prepare?.(stage);
    if (backup) await takeBackup(stage.cluster, quiet);
    return { ...stage, pauseShipping, resumeShipping, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The RTO is the time of the phases from target to first answer, and of no other. @param seconds that the whole drill took. */
export function expectRto({ rtoSeconds, phases }: DrillResult, seconds: number): void {
  const secondsOf = (areOutside: boolean): number =>
    phases
      .filter(({ name }) => phasesOutsideRto.includes(name) === areOutside)
      .reduce((sum, phase) => sum + phase.seconds, 0);
  const rounding = 0.01;
  expect(rtoSeconds).toBeGreaterThan(secondsOf(false) - rounding);
  expect(rtoSeconds).toBeLessThan(seconds - secondsOf(true) + rounding);
}

/** The same cluster with part of its config changed, such as its checks or its role. */
export function changed(cluster: ProtectedCluster, change: Partial<ProtectedCluster['config']>): ProtectedCluster {
  return { ...cluster, config: { ...cluster.config, ...change } };
}

export const withChecks = (cluster: ProtectedCluster, checks: Record<string, string>): ProtectedCluster =>
  changed(cluster, {
    drills: { checks: Object.entries(checks).map(([name, sql]) => ({ name, database: 'postgres', sql })) },
  });

export async function until(fact: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await fact())) await sleep(20);
}
