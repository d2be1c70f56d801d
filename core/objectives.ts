import type { ClusterConfig, ScheduleConfig } from './config.ts';
import { type DumpOptions, decideDump } from './dump.ts';
import { partOf } from './dump-part.ts';
import { requestOf } from './dumped.ts';
import { kinds } from './schedule/kinds.ts';
import { nextRuns } from './schedule/next.ts';

/** How old something may become, in seconds, and where in the cluster's section that is said. */
export type AgeLimit = { seconds: number; said: string };

/** How old the newest dump may become. */
export type DumpLimit = {
  /** Of this database; null: of any. */
  database: string | null;
  /** False: only the server names it. Then it is judged once there is a dump of it: the first one may be about to be taken. */
  isNamed: boolean;
  limit: AgeLimit;
  /** Only dumps count that hold one of these; null: all of the database. */
  parts: readonly (string | null)[];
  /** In a repository that `copy` brings up to date, by its name. */
  copies: Readonly<Record<string, AgeLimit>>;
};

export type AgeLimits = {
  backup: AgeLimit | null;
  /** Each database that the configuration names, also in schedules; where all are dumped, each that the server has. */
  dumps: readonly DumpLimit[];
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
 * @param there the databases that the server has; none where it does not say.
 */
export function ageLimits(config: ClusterConfig, now: Date, there: readonly string[] = []): AgeLimits {
  const promised = promises(config, now);
  const backup = said(config, 'backup') ?? promised('backup');
  return {
    backup,
    dumps: dumpLimits(config, promised, there),
    // A dump that was restored proves nothing of backups and WAL.
    proof: said(config, 'proof') ?? promised('drill', ({ with: { kind } }) => kind !== 'dump'),
    copies: copyLimits(config, backup, promised),
  };
}

type Promised = (
  run: 'backup' | 'dump' | 'drill' | 'copy',
  isMeant?: (schedule: ScheduleConfig) => boolean,
) => AgeLimit | null;

const promises =
  ({ schedules }: ClusterConfig, now: Date): Promised =>
  (run, isMeant = () => true) =>
    Object.entries(schedules)
      .filter(([, schedule]) => schedule.run === run && isMeant(schedule))
      .map(([name, schedule]): AgeLimit => ({ seconds: latest(schedule, now), said: `schedules.${name}` }))
      .sort((a, b) => a.seconds - b.seconds)
      .find(({ seconds }) => Number.isFinite(seconds)) ?? null;

function said({ objectives }: ClusterConfig, objective: 'backup' | 'dump' | 'proof'): AgeLimit | null {
  const seconds = objectives[objective];
  return seconds === undefined ? null : { seconds, said: `objectives.${objective}` };
}

function copyLimits(
  { repositories, write }: ClusterConfig,
  of: AgeLimit | null,
  promised: Promised,
): Record<string, AgeLimit> {
  const targets = write === 'all' ? [] : repositories.slice(1);
  const copies = targets.flatMap((target): [string, AgeLimit][] => {
    const copy = promised('copy', ({ with: { to } }) => to === undefined || to === target);
    if (of === null || copy === null) return [];
    return [[target, { seconds: of.seconds + copy.seconds, said: `${of.said} and ${copy.said}` }]];
  });
  return Object.fromEntries(copies);
}

/** Of `all` databases the newest of any counts, too: which there are, only the server knows, and it may be gone. */
function dumpLimits(config: ClusterConfig, promised: Promised, there: readonly string[]): DumpLimit[] {
  const { databases } = config.dumps;
  const asked = Object.values(config.schedules).flatMap((schedule) =>
    schedule.run === 'dump' ? (requestOf(schedule).databases ?? []) : [],
  );
  const named = new Set<string | null>([...(databases === 'all' ? [null] : databases), ...asked]);
  const found = databases === 'all' ? there : [];
  return [...new Set([...named, ...found])].flatMap((database) => {
    const isOfIt = (schedule: ScheduleConfig) => covers(schedule, config, database);
    const limit = said(config, 'dump') ?? promised('dump', isOfIt);
    if (limit === null) return [];
    const parts = partsThatCount(config, database, Object.values(config.schedules).filter(isOfIt));
    return [{ database, isNamed: named.has(database), limit, parts, copies: copyLimits(config, limit, promised) }];
  });
}

/** As `decideDump` takes it: a request has null for what it does not say. */
const layerOf = (schedule: ScheduleConfig): DumpOptions => requestOf(schedule) as DumpOptions;

/** Whether what runs is a dump of this database, with data where the configuration wants data. */
function covers(schedule: ScheduleConfig, { dumps }: ClusterConfig, database: string | null): boolean {
  if (schedule.run !== 'dump') return false;
  const request = requestOf(schedule);
  if (request.kind !== 'database') return request.kind === 'cluster';
  const own = optionsOf(dumps, database);
  if (decideDump(layerOf(schedule), ...own).content !== decideDump(...own).content) return false;
  const databases = request.databases ?? dumps.databases;
  return databases === 'all' || (database !== null && databases.includes(database));
}

/** A dump of some tables that a person took counts for nothing; one that is configured or scheduled so, does. */
function partsThatCount(
  { dumps }: ClusterConfig,
  database: string | null,
  schedules: readonly ScheduleConfig[],
): (string | null)[] {
  const own = optionsOf(dumps, database);
  const scheduled = schedules.map((schedule) => partOf(decideDump(layerOf(schedule), ...own)));
  const others = database === null ? Object.keys(dumps.perDatabase) : [];
  const configured = [own, ...others.map((other) => optionsOf(dumps, other))];
  return [...new Set([null, ...configured.map((layers) => partOf(decideDump(...layers))), ...scheduled])];
}

const optionsOf = (dumps: ClusterConfig['dumps'], database: string | null): DumpOptions[] => [
  ...(database === null ? [] : [dumps.perDatabase[database] ?? {}]),
  dumps,
];

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
