import type { ClusterConfig, ScheduleConfig } from './config.ts';
import { kinds } from './schedule/kinds.ts';
import { nextRuns } from './schedule/next.ts';

/** How old something may become, in seconds, and where in the cluster's section that is said. */
export type AgeLimit = { seconds: number; said: string };

export type AgeLimits = {
  backup: AgeLimit | null;
  proof: AgeLimit | null;
  /** Of the newest backup in a repository that `copy` brings up to date, by its name. */
  copies: Readonly<Record<string, AgeLimit>>;
};

/** Pauses of so long ago and ahead count, at least two of them: the night that the clocks skip concerns the days around it. */
const aroundSeconds = 10 * 86_400;
const mostRuns = 1000;

/**
 * The ages that are an alarm: as the objectives say, otherwise as the schedules promise, half a pause late; null where nothing
 * promises anything.
 */
export function ageLimits({ objectives, schedules, repositories, write }: ClusterConfig, now: Date): AgeLimits {
  const promised = (run: 'backup' | 'drill' | 'copy', isMeant: (schedule: ScheduleConfig) => boolean = () => true) =>
    Object.entries(schedules)
      .filter(([, schedule]) => schedule.run === run && isMeant(schedule))
      .map(([name, schedule]): AgeLimit => ({ seconds: latest(schedule, now), said: `schedules.${name}` }))
      .sort((a, b) => a.seconds - b.seconds)
      .find(({ seconds }) => Number.isFinite(seconds)) ?? null;
  const said = (objective: 'backup' | 'proof'): AgeLimit | null => {
    const seconds = objectives[objective];
    return seconds === undefined ? null : { seconds, said: `objectives.${objective}` };
  };
  const backup = said('backup') ?? promised('backup');
  const targets = write === 'all' ? [] : repositories.slice(1);
  const copies = targets.flatMap((target): [string, AgeLimit][] => {
    const copy = promised('copy', ({ with: { to } }) => to === undefined || to === target);
    if (backup === null || copy === null) return [];
    return [[target, { seconds: backup.seconds + copy.seconds, said: `${backup.said} and ${copy.said}` }]];
  });
  return { backup, proof: said('proof') ?? promised('drill'), copies: Object.fromEntries(copies) };
}

/** Half as long again as the longest pause between two runs, and the jitter. */
function latest({ run, cron, calendar, every, timezone = 'UTC', jitter }: ScheduleConfig, now: Date): number {
  const when = cron ?? calendar;
  if (when === undefined) return Math.ceil((every as number) * 1.5);
  const today = now.getTime() / 1000;
  const since = new Date((today - aroundSeconds) * 1000);
  const runs = nextRuns(when, timezone, since, mostRuns)
    .map((at) => at.getTime() / 1000)
    .filter((at, index) => index < 3 || at < today + aroundSeconds);
  const pauses = runs.slice(1).map((at, index) => at - (runs[index] as number));
  const longest = pauses.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...pauses);
  return Math.ceil(longest * 1.5) + (jitter ?? kinds[run].jitter);
}
