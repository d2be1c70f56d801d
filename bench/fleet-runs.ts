import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchFleet } from './fleet-of.ts';

/** What Temporal says of the runs of a fleet. */
export type Runs = {
  /** By operation, of those that ended well. */
  ended: Record<string, Ended>;
  running: number;
  failed: number;
};
export type Ended = { runs: number; events: number; bytes: number; seconds: number };

/** @param since only runs that began then or later. */
export async function readRuns({ temporal: { client } }: BenchFleet, since: Date): Promise<Runs> {
  const found = new Map<string, { events: number; bytes: number; seconds: number }[]>();
  let [running, failed] = [0, 0];
  const query = `StartTime >= '${since.toISOString()}' AND PgOperation IS NOT NULL`;
  for await (const run of client.workflow.list({ query, pageSize: 1000 })) {
    if (run.status.name === 'RUNNING') running += 1;
    else if (run.status.name !== 'COMPLETED') failed += 1;
    else {
      const seconds = ((run.closeTime?.getTime() ?? 0) - run.startTime.getTime()) / 1000;
      const one = { events: run.historyLength, bytes: run.historySize ?? 0, seconds };
      found.set(run.type, [...(found.get(run.type) ?? []), one]);
    }
  }
  const ended = [...found].map(([type, runs]): [string, Ended] => {
    const medianOf = (of: keyof (typeof runs)[number]) =>
      percentile(
        runs.map((run) => run[of]),
        50,
      );
    return [
      type,
      { runs: runs.length, events: medianOf('events'), bytes: medianOf('bytes'), seconds: medianOf('seconds') },
    ];
  });
  return { ended: Object.fromEntries(ended.toSorted()), running, failed };
}

/**
 * How late runs were, in seconds: from the moment that their schedule meant (jitter included) to their start, and to the
 * first step of their own on their host. Of each schedule its newest runs, because Temporal remembers only those.
 */
export type Delays = { started: number[]; begun: number[] };

export async function readDelays({ temporal: { client }, begun }: BenchFleet, since: Date): Promise<Delays> {
  const delays: Delays = { started: [], begun: [] };
  for await (const { info } of client.schedule.list({ pageSize: 1000 }))
    for (const { scheduledAt, takenAt, action } of info.recentActions ?? []) {
      if (scheduledAt < since) continue;
      delays.started.push((takenAt.getTime() - scheduledAt.getTime()) / 1000);
      const first = begun.get(action.workflow.workflowId);
      if (first !== undefined) delays.begun.push((first.begunAt - scheduledAt.getTime()) / 1000);
    }
  return delays;
}

/** Until a count has not grown for three seconds. @returns how long that took, in seconds. */
export async function settled(count: () => Promise<number>): Promise<number> {
  const began = performance.now();
  for (let before = -1; ; ) {
    const now = await count();
    if (now === before) return (performance.now() - began) / 1000;
    before = now;
    await sleep(3000);
  }
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}
